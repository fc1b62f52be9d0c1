"""One on-disk record shape per module; `LAYOUTS` names them all."""

from sources.layouts.art import Art
from sources.layouts.arxivqa import ArxivQa
from sources.layouts.cauldron import Cauldron
from sources.layouts.chart_to_text import ChartToText
from sources.layouts.chat import Chat
from sources.layouts.coco_text import CocoText
from sources.layouts.coyo import Coyo
from sources.layouts.flat_chat import FlatChat
from sources.layouts.hiertext import HierText
from sources.layouts.interleaved import Interleaved
from sources.layouts.kvqa import Kvqa
from sources.layouts.llava import Llava
from sources.layouts.m3it import M3it
from sources.layouts.mathvision import MathVision
from sources.layouts.messages import Messages
from sources.layouts.mlt import Mlt
from sources.layouts.mmc import Mmc
from sources.layouts.mmc4 import Mmc4
from sources.layouts.mplug import Mplug
from sources.layouts.mtvqa import Mtvqa
from sources.layouts.omnicorpus import OmniCorpus
from sources.layouts.onevision import OneVision
from sources.layouts.opencqa import OpenCqa
from sources.layouts.openvino import OpenVino
from sources.layouts.paper2fig import Paper2Fig
from sources.layouts.paperowl import PaperOwl
from sources.layouts.picture_folder import PictureFolder
from sources.layouts.pixmo_ask import PixmoAsk
from sources.layouts.pixmo_cap import PixmoCap
from sources.layouts.pixmo_cap_qa import PixmoCapQa
from sources.layouts.pixmo_docs import PixmoDocs
from sources.layouts.pixmo_point_explanations import PixmoPointExplanations
from sources.layouts.pixmo_points import PixmoPoints
from sources.layouts.scigraphqa import SciGraphQa
from sources.layouts.screen2words import Screen2Words
from sources.layouts.screenqa_rico import ScreenQaRico
from sources.layouts.sroie import Sroie
from sources.layouts.table import Table
from sources.layouts.tabmwp import Tabmwp
from sources.layouts.tatqa import TatQa
from sources.layouts.uber_text import UberText
from sources.layouts.unichart import UniChart
from sources.layouts.vflan import Vflan
from sources.layouts.widget_captioning import WidgetCaptioning
from sources.record import Layout

LAYOUTS: dict[str, Layout] = {
    "art": Art(),
    "arxivqa": ArxivQa(),
    "cauldron": Cauldron(),
    "chart_to_text": ChartToText(),
    "chat": Chat(),
    "coco_text": CocoText(),
    "coyo": Coyo(),
    "flat_chat": FlatChat(),
    "hiertext": HierText(),
    "interleaved": Interleaved(),
    "kvqa": Kvqa(),
    "llava": Llava(),
    "m3it": M3it(),
    "mathvision": MathVision(),
    "messages": Messages(),
    "mlt": Mlt(),
    "mmc": Mmc(),
    "mmc4": Mmc4(),
    "mplug": Mplug(),
    "mtvqa": Mtvqa(),
    "omnicorpus": OmniCorpus(),
    "onevision": OneVision(),
    "opencqa": OpenCqa(),
    "openvino": OpenVino(),
    "paper2fig": Paper2Fig(),
    "paperowl": PaperOwl(),
    "picture_folder": PictureFolder(),
    "pixmo_ask": PixmoAsk(),
    "pixmo_cap": PixmoCap(),
    "pixmo_cap_qa": PixmoCapQa(),
    "pixmo_docs": PixmoDocs(),
    "pixmo_point_explanations": PixmoPointExplanations(),
    "pixmo_points": PixmoPoints(),
    "scigraphqa": SciGraphQa(),
    "screen2words": Screen2Words(),
    "screenqa_rico": ScreenQaRico(),
    "sroie": Sroie(),
    "table": Table(),
    "tabmwp": Tabmwp(),
    "tatqa": TatQa(),
    "uber_text": UberText(),
    "unichart": UniChart(),
    "vflan": Vflan(),
    "widget_captioning": WidgetCaptioning(),
}

PAIRED = frozenset({"cauldron", "mtvqa"})
"""Layouts that read `pairs`."""

WHOLE_FILE = frozenset(
    {"chart_to_text", "coco_text", "hiertext", "mlt", "openvino", "picture_folder", "sroie", "uber_text"}
)
"""Layouts that read a file as a whole, so that `only` cannot choose among its rows."""
