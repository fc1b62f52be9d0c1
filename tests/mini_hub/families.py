"""The generator of every record shape, by the name that the catalogue gives the shape."""

from collections.abc import Callable

from mini_hub.case import Made, Source
from mini_hub.challenges import art, mlt, openvino, sroie
from mini_hub.charts import arxivqa, chart_to_text, mmc, paper2fig, scigraphqa, unichart
from mini_hub.documents import cauldron, m3it, mplug
from mini_hub.llava import llava
from mini_hub.onevision import onevision
from mini_hub.pixmo import pixmo_ask, pixmo_cap, pixmo_cap_qa, pixmo_docs, pixmo_point_explanations, pixmo_points
from mini_hub.questions import opencqa, tabmwp, tatqa
from mini_hub.screens import coyo, kvqa, mathvision, screen2words, screenqa_rico, table, widget_captioning
from mini_hub.spotting import coco_text, hiertext, uber_text
from mini_hub.text import chat, flat_chat, messages, mtvqa
from mini_hub.web import interleaved, mmc4, omnicorpus, paperowl, picture_folder, vflan

FAMILIES: dict[str, Callable[[Source], Made]] = {
    "art": art,
    "arxivqa": arxivqa,
    "cauldron": cauldron,
    "chart_to_text": chart_to_text,
    "chat": chat,
    "coco_text": coco_text,
    "coyo": coyo,
    "flat_chat": flat_chat,
    "hiertext": hiertext,
    "interleaved": interleaved,
    "kvqa": kvqa,
    "llava": llava,
    "m3it": m3it,
    "mathvision": mathvision,
    "messages": messages,
    "mlt": mlt,
    "mmc": mmc,
    "mmc4": mmc4,
    "mplug": mplug,
    "mtvqa": mtvqa,
    "omnicorpus": omnicorpus,
    "onevision": onevision,
    "opencqa": opencqa,
    "openvino": openvino,
    "paper2fig": paper2fig,
    "paperowl": paperowl,
    "picture_folder": picture_folder,
    "pixmo_ask": pixmo_ask,
    "pixmo_cap": pixmo_cap,
    "pixmo_cap_qa": pixmo_cap_qa,
    "pixmo_docs": pixmo_docs,
    "pixmo_point_explanations": pixmo_point_explanations,
    "pixmo_points": pixmo_points,
    "scigraphqa": scigraphqa,
    "screen2words": screen2words,
    "screenqa_rico": screenqa_rico,
    "sroie": sroie,
    "table": table,
    "tabmwp": tabmwp,
    "tatqa": tatqa,
    "uber_text": uber_text,
    "unichart": unichart,
    "vflan": vflan,
    "widget_captioning": widget_captioning,
}
