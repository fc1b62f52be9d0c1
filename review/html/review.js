"use strict";
// One item at a time; every text of a sample goes into the document as text, never as markup.
const facts = JSON.parse(document.body.dataset.facts);
const memory = `${facts.format} ${facts.queue}`;
const loaded = new Map(); // number of a file -> its items
const waiting = new Map(); // number of a file -> what to do when it is there
const LONG = 20000;
const byId = (name) => document.getElementById(name);

let state = { reviewer: "", place: 0, answers: {}, history: [] };
try {
  state = { ...state, ...JSON.parse(localStorage.getItem(memory) || "{}") };
} catch {
  // a browser that keeps nothing: answers live as long as the page, and the button saves them
}

function remember() {
  try {
    localStorage.setItem(memory, JSON.stringify(state));
    return true;
  } catch {
    return false;
  }
}

// called by the files in items/
function vlmixItems(number, items) {
  loaded.set(number, items);
  for (const job of waiting.get(number) || []) job();
  waiting.delete(number);
}
window.vlmixItems = vlmixItems;

function withItem(place, job) {
  const number = Math.floor(place / facts.per_file);
  const give = () => job(loaded.get(number)[place % facts.per_file]);
  if (loaded.has(number)) return give();
  if (waiting.has(number)) return waiting.get(number).push(give);
  waiting.set(number, [give]);
  if (loaded.size > 4) loaded.delete(loaded.keys().next().value);
  const script = document.createElement("script");
  script.src = `items/${facts.files[number]}.js`;
  script.onload = () => script.remove();
  document.head.append(script);
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Characters that a reader cannot see, or that turn the text around, are shown as signs.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

function addText(parent, text) {
  let end = 0;
  for (const found of text.matchAll(HIDDEN)) {
    parent.append(text.slice(end, found.index));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parent.append(element("span", `U+${code}`, "sign"));
    end = found.index + found[0].length;
  }
  parent.append(text.slice(end));
}

// Marks count characters as Python does; JavaScript counts UTF-16 units.
function unit(text, character) {
  let at = 0;
  for (let left = character; left > 0 && at < text.length; left -= 1) at += text.codePointAt(at) > 0xffff ? 2 : 1;
  return at;
}

function addMarked(parent, text, marks, most) {
  let end = 0;
  for (const mark of marks) {
    const [from, to] = [unit(text, mark.start), Math.min(unit(text, mark.end), most)];
    if (from < end || from >= to) continue;
    addText(parent, text.slice(end, from));
    const made = element("mark");
    made.title = mark.what;
    addText(made, text.slice(from, to));
    parent.append(made);
    end = to;
  }
  addText(parent, text.slice(end, most));
}

function turn(message, number, item) {
  const box = element("section", undefined, "turn");
  box.append(element("b", message.role));
  const text = element("pre", undefined, "text");
  const marks = item.marks.filter((mark) => mark.turn === number);
  addMarked(text, message.text, marks, LONG);
  box.append(text);
  if (message.text.length > LONG) {
    const more = element("button", `Show all ${message.text.length} characters`);
    more.type = "button";
    more.onclick = () => {
      text.replaceChildren();
      addMarked(text, message.text, marks, message.text.length);
      more.remove();
    };
    box.append(more);
  }
  return box;
}

function why(item) {
  const table = element("table");
  const row = (left, right) => {
    const made = element("tr");
    const cell = element("td");
    addText(cell, right);
    const head = element("th");
    addText(head, left);
    made.append(head, cell);
    table.append(made);
  };
  row("key", item.key);
  row("entry, domain", `${item.entry}, ${item.domain}`);
  for (const reason of item.reasons) {
    const away = reason.comparisons.filter((each) => each.distance !== null);
    const words = away.map((each) => `${each.score} ${each.distance < 0 ? "" : "+"}${Number(each.distance.toPrecision(4))}`);
    row(reason.rule, words.length ? `${reason.predicate} (${words.join(", ")})` : reason.predicate);
  }
  for (const reason of item.unknown) row(reason.rule, `unknown: ${reason.predicate}`);
  for (const [name, score] of Object.entries(item.scores)) {
    row(name, score === null ? `null (${item.states[name] || "no value"})` : String(score));
  }
  if (item.settles > 1) row("rows like this one", `${item.settles}: ${item.mates.join(", ")}`);
  for (const video of item.videos) row("video", video);
  return table;
}

function pictures(item) {
  const box = element("div", undefined, "pictures");
  item.pictures.forEach((picture, number) => {
    const made = element("img");
    made.src = picture.file;
    made.alt = `Picture ${number + 1} of ${item.pictures.length}, ${picture.width} x ${picture.height}`;
    made.onclick = () => made.classList.toggle("whole");
    box.append(made);
  });
  return box;
}

function show() {
  const main = byId("item");
  byId("place").max = facts.total;
  if (facts.total === 0) return main.replaceChildren(element("p", "Nothing waits for review."));
  state.place = Math.min(Math.max(state.place, 0), facts.total - 1);
  const place = state.place;
  withItem(place, (item) => {
    if (place !== state.place) return;
    const heading = element("h2", "Why");
    main.replaceChildren(heading, why(item));
    if (item.pictures.length) main.append(element("h2", "Pictures"), pictures(item));
    main.append(element("h2", "Conversation"), ...item.messages.map((message, number) => turn(message, number, item)));
    const answer = state.answers[item.id];
    byId("note").value = answer ? answer.note : "";
    for (const button of document.querySelectorAll("[data-choice]")) {
      button.setAttribute("aria-pressed", String(Boolean(answer) && answer.verdict === button.dataset.choice));
    }
    byId("place").value = place + 1;
    tell();
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  });
}

function tell(more) {
  const done = Object.keys(state.answers).length;
  byId("progress").textContent = `${done} of ${facts.total} answered${more ? `; ${more}` : ""}`;
}

function go(place) {
  state.place = place;
  remember();
  show();
}

function say(choice) {
  if (!state.reviewer) {
    tell("write your name first");
    return byId("reviewer").focus();
  }
  const place = state.place;
  withItem(place, (item) => {
    state.answers[item.id] = {
      id: item.id,
      entry: item.entry,
      key: item.key,
      seen: item.seen,
      verdict: choice,
      reviewer: state.reviewer,
      note: byId("note").value,
      at: new Date().toISOString(),
      place,
    };
    state.history.push(item.id);
    if (place + 1 < facts.total) state.place = place + 1;
    const kept = remember();
    show();
    if (!kept) tell("this browser keeps nothing: save answers.json before you close the page");
  });
}

function undo() {
  const last = state.history.pop();
  if (!last || !state.answers[last]) return;
  const { place } = state.answers[last];
  delete state.answers[last];
  go(place);
}

function nextOpen() {
  const answered = new Set(Object.values(state.answers).map((answer) => answer.place));
  for (let step = 1; step <= facts.total; step += 1) {
    const place = (state.place + step) % facts.total;
    if (!answered.has(place)) return go(place);
  }
  tell("every item has an answer");
}

function save() {
  const answers = Object.values(state.answers).sort((left, right) => left.place - right.place);
  const document_ = { format: facts.format, version: 1, queue: facts.queue, answers };
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 1)], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function load(file) {
  try {
    const read = JSON.parse(await file.text());
    if (read.format !== facts.format || read.queue !== facts.queue) throw new Error("answers to another queue");
    for (const answer of read.answers) state.answers[answer.id] = answer;
    state.reviewer = state.reviewer || (read.answers[0] || {}).reviewer || "";
    byId("reviewer").value = state.reviewer;
    remember();
    show();
  } catch (error) {
    tell(`not loaded: ${error.message}`);
  }
}

byId("reviewer").value = state.reviewer;
byId("reviewer").oninput = (event) => {
  state.reviewer = event.target.value.trim();
  remember();
};
byId("place").onchange = (event) => go(Number(event.target.value) - 1);
byId("next-open").onclick = nextOpen;
byId("save").onclick = save;
byId("load").onchange = (event) => event.target.files.length && load(event.target.files[0]);
byId("undo").onclick = undo;
byId("previous").onclick = () => go(state.place - 1);
byId("next").onclick = () => go(state.place + 1);
for (const button of document.querySelectorAll("[data-choice]")) button.onclick = () => say(button.dataset.choice);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    k: () => say("keep"),
    d: () => say("drop"),
    s: () => say("skip"),
    u: undo,
    ArrowLeft: () => go(state.place - 1),
    ArrowRight: () => go(state.place + 1),
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
show();
