"""The generator of every record shape, by the name that the catalogue gives the shape."""

from collections.abc import Callable

from mini_hub.case import Made, Source
from mini_hub.charts import arxivqa, chart_to_text, mmc, paper2fig, scigraphqa, unichart
from mini_hub.documents import cauldron, m3it, mplug
from mini_hub.llava import llava
from mini_hub.onevision import onevision
from mini_hub.pixmo import pixmo_ask, pixmo_cap, pixmo_cap_qa, pixmo_docs, pixmo_point_explanations, pixmo_points
from mini_hub.screens import coyo, kvqa, mathvision, screen2words, screenqa_rico, table, widget_captioning
from mini_hub.spotting import coco_text, hiertext, uber_text

FAMILIES: dict[str, Callable[[Source], Made]] = {
    "arxivqa": arxivqa,
    "cauldron": cauldron,
    "chart_to_text": chart_to_text,
    "coco_text": coco_text,
    "coyo": coyo,
    "hiertext": hiertext,
    "kvqa": kvqa,
    "llava": llava,
    "m3it": m3it,
    "mathvision": mathvision,
    "mmc": mmc,
    "mplug": mplug,
    "onevision": onevision,
    "paper2fig": paper2fig,
    "pixmo_ask": pixmo_ask,
    "pixmo_cap": pixmo_cap,
    "pixmo_cap_qa": pixmo_cap_qa,
    "pixmo_docs": pixmo_docs,
    "pixmo_point_explanations": pixmo_point_explanations,
    "pixmo_points": pixmo_points,
    "scigraphqa": scigraphqa,
    "screen2words": screen2words,
    "screenqa_rico": screenqa_rico,
    "table": table,
    "uber_text": uber_text,
    "unichart": unichart,
    "widget_captioning": widget_captioning,
}
