"use strict";
// The server makes all HTML and escapes it; this file asks for it, puts it in place and sends answers.
// An answer is kept in the tab's storage, under a name of its own, until the server says that it is written: a lost
// connection, a server that is started again or a reload send the same again, and the server writes it once.

const PENDING = "vlmix-pending";
const at = (selector, root = document) => root.querySelector(selector);
const secret = at("meta[name=csrf]").content;
let busy = false;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function alarm(text) {
  const place = at("#alarm");
  place.textContent = text;
  place.hidden = !text;
}

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", "x-csrf-token": secret },
  };
  const reply = await fetch(path, options);
  if (reply.ok) return reply;
  const text = await reply.text();
  let why = text.trim();
  try { const detail = JSON.parse(text).detail; why = typeof detail === "string" ? detail : detail[0].msg; } catch { /* not JSON */ }
  const error = new Error(why || `status ${reply.status}`);
  error.final = reply.status < 500 && reply.status !== 429;
  throw error;
}

async function insist(path, body) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 4000)) {
    try {
      return await ask(path, body);
    } catch (error) {
      if (error.final) throw error;
      alarm(`Not saved yet, trying again: ${error.message}`);
      await pause(wait);
    }
  }
}

function show(reply, how) {
  at("#main").innerHTML = reply.html;
  document.title = reply.title;
  if (how === "push") history.pushState(null, "", reply.url);
  if (how === "replace") history.replaceState(null, "", reply.url);
  at("#live").textContent = reply.said;
  scrollTo(0, 0);
  at("#heading").focus({ preventScroll: true });
}

async function alone(work) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    alarm("");
    await work();
  } catch (error) {
    alarm(error.message);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

function wanted() {
  return Object.fromEntries(new FormData(at("#filters")));
}

const send = (path, body) => alone(() => deliver({ path, body: { answer_id: newName(), wanted: wanted(), ...body } }));

async function deliver(job) {
  sessionStorage.setItem(PENDING, JSON.stringify(job));
  try {
    const reply = await insist(job.path, job.body);
    sessionStorage.removeItem(PENDING);
    alarm("");
    show(await reply.json(), "push");
  } catch (error) {
    sessionStorage.removeItem(PENDING);
    throw error;
  }
}

function look(query, how) {
  return alone(async () => show(await (await ask(`/item?${new URLSearchParams(query)}`)).json(), how));
}

function answer(choice) {
  const { item, seen } = at("#item").dataset;
  if (item) send("/answer", { item, seen, choice, note: at("#note").value, settles: Boolean(at("#settles")?.checked) });
}

function move(to) {
  const { item } = at("#item").dataset;
  look(item ? { ...wanted(), item, to } : wanted(), "push");
}

function undo() {
  const act = at("button[data-act]")?.dataset.act;
  if (act) send("/undo", { act });
}

function preview(by) {
  const { item } = at("#item").dataset;
  if (!item || !at(`button[data-key=${by[0]}]`)) return;
  alone(async () => {
    const dialog = at("#group");
    dialog.innerHTML = await (await ask(`/group?${new URLSearchParams({ item, by })}`)).text();
    dialog.showModal();
    at("#group-title").focus();
  });
}

function answerAll(button) {
  const choice = button.dataset.all;
  const items = Array.from(at("#group").querySelectorAll("tr[data-item]"), (row) => row.dataset.item);
  at("#group").close();
  if (choice) send("/answer-group", { item: at("#item").dataset.item, by: button.dataset.by, items, choice });
}

function unfold(button) {
  const { turn, start, end } = button.dataset;
  const { item } = at("#item").dataset;
  alone(async () => {
    const html = await (await ask(`/part?${new URLSearchParams({ item, turn, start, end })}`)).text();
    const holder = document.createElement("div");
    holder.innerHTML = html;
    const first = holder.firstElementChild;
    button.closest(".fold").replaceWith(...holder.childNodes);
    first.tabIndex = -1;
    first.focus({ preventScroll: true });
  });
}

let marked = -1;
function nextMark() {
  const marks = document.querySelectorAll("#item mark");
  marks[marked]?.classList.remove("here");
  if (!marks.length) return;
  marked = (marked + 1) % marks.length;
  marks[marked].classList.add("here");
  marks[marked].scrollIntoView({ block: "center" });
  at("#live").textContent = `Mark ${marked + 1} of ${marks.length}: ${marks[marked].title}`;
}

const zoom = {
  number: -1, scale: 0,
  open(number) {
    const pictures = document.querySelectorAll("button.picture:not(.lost)");
    if (!pictures.length) return;
    zoom.number = number % pictures.length;
    const picture = pictures[zoom.number];
    const image = at("#zoom img");
    image.onload = () => zoom.to(0);
    image.src = picture.dataset.full;
    image.alt = at("img", picture).alt;
    if (!at("#zoom").open) at("#zoom").showModal();
    at(".pan").focus();
  },
  fit() {
    const [image, pan] = [at("#zoom img"), at(".pan")];
    return Math.min(pan.clientWidth / image.naturalWidth, pan.clientHeight / image.naturalHeight) || 1;
  },
  to(scale) {
    const [image, pan] = [at("#zoom img"), at(".pan")];
    const middle = [(pan.scrollLeft + pan.clientWidth / 2) / (image.width || 1), (pan.scrollTop + pan.clientHeight / 2) / (image.height || 1)];
    zoom.scale = Math.min(Math.max(scale || zoom.fit(), 0.05), 40);
    image.style.width = `${Math.max(1, Math.round(image.naturalWidth * zoom.scale))}px`;
    image.style.imageRendering = zoom.scale >= 3 ? "pixelated" : "auto";
    pan.scrollTo(middle[0] * image.width - pan.clientWidth / 2, middle[1] * image.height - pan.clientHeight / 2);
    at("#zoomed").textContent = `${image.alt}, ${Math.round(100 * zoom.scale)} % of ${image.naturalWidth} x ${image.naturalHeight}`;
  },
  press(how) {
    if (how === "close") at("#zoom").close();
    else zoom.to(how === "fit" ? 0 : zoom.scale * (how === "in" ? 1.5 : 1 / 1.5));
  },
};

const ACTIONS = {
  k: () => answer("keep"), d: () => answer("drop"), s: () => answer("skip"), u: undo,
  n: () => move("group"), j: () => move("next"), p: () => move("previous"),
  ArrowRight: () => move("next"), ArrowLeft: () => move("previous"),
  c: () => preview("cluster"), t: () => preview("template"),
  z: () => zoom.open(zoom.number + 1), m: nextMark,
  e: () => at("#note")?.focus(), f: () => at("#filters select").focus(), "?": () => at("#keys").showModal(),
};
const ZOOMING = { "+": "in", "=": "in", "-": "out", 0: "fit", z: "next" };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (at("#zoom").open) {
    if (key === "z") zoom.open(zoom.number + 1);
    else if (ZOOMING[key]) zoom.press(ZOOMING[key]);
    return;
  }
  if (at("#group").open) {
    const button = { k: "keep", d: "drop" }[key] && at(`#group [data-all=${{ k: "keep", d: "drop" }[key]}]`);
    if (button && !event.repeat) answerAll(button);
    return;
  }
  if (event.target.id === "note") {
    if (key === "Enter" || key === "Escape") at("#heading").focus();
    return;
  }
  if (at("dialog[open]") || event.target.closest("input, select, textarea") || event.repeat) return;
  if (event.target.closest("button, a, .scroll") && /^(Arrow|Enter| )/.test(key)) return;
  if (ACTIONS[key]) {
    event.preventDefault();
    ACTIONS[key]();
  }
}

function clicked(event) {
  const button = event.target.closest("button");
  if (event.target.matches("#zoom img")) zoom.to(zoom.scale === zoom.fit() ? 1 : 0);
  if (!button) return;
  const { key, all, zoom: how, start } = button.dataset;
  if (key) ACTIONS[key]();
  else if (all !== undefined) answerAll(button);
  else if (how) zoom.press(how);
  else if (start) unfold(button);
  else if (button.matches(".picture:not(.lost)")) zoom.open([...document.querySelectorAll("button.picture:not(.lost)")].indexOf(button));
  else if (button.id === "help") at("#keys").showModal();
}

function lost(event) {
  if (!event.target.matches("button.picture img")) return;
  const button = event.target.closest("button");
  button.classList.add("lost");
  button.replaceChildren(`${event.target.alt} cannot be shown`);
}

async function begin() {
  addEventListener("keydown", pressed);
  addEventListener("click", clicked);
  addEventListener("error", lost, true);
  addEventListener("popstate", () => location.reload());
  at("#filters").addEventListener("change", () => look(wanted(), "push"));
  history.replaceState(null, "", document.body.dataset.url);
  const pending = sessionStorage.getItem(PENDING);
  if (pending) await alone(() => deliver(JSON.parse(pending)));
  at("#heading").focus({ preventScroll: true });
}

function welcome(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    alone(async () => {
      await ask("/name", { name: form.elements.name.value });
      if (location.pathname === "/who") location.assign("/");
      else location.reload();
    });
  });
}

if (at("#name")) welcome(at("#name"));
else begin();
