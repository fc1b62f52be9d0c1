"""One on-disk record shape per module; `LAYOUTS` names them all."""

from sources.layouts.chat import Chat
from sources.layouts.interleaved import Interleaved
from sources.layouts.llava import Llava
from sources.layouts.messages import Messages
from sources.layouts.mplug import Mplug
from sources.layouts.onevision import OneVision
from sources.layouts.opencqa import OpenCqa
from sources.layouts.picture_folder import PictureFolder
from sources.layouts.pixmo_ask import PixmoAsk
from sources.layouts.pixmo_cap import PixmoCap
from sources.layouts.pixmo_points import PixmoPoints
from sources.layouts.sroie import Sroie
from sources.layouts.table import Table
from sources.layouts.tabmwp import Tabmwp
from sources.layouts.tatqa import TatQa
from sources.record import Layout

LAYOUTS: dict[str, Layout] = {
    "chat": Chat(),
    "interleaved": Interleaved(),
    "llava": Llava(),
    "messages": Messages(),
    "mplug": Mplug(),
    "onevision": OneVision(),
    "opencqa": OpenCqa(),
    "picture_folder": PictureFolder(),
    "pixmo_ask": PixmoAsk(),
    "pixmo_cap": PixmoCap(),
    "pixmo_points": PixmoPoints(),
    "sroie": Sroie(),
    "table": Table(),
    "tabmwp": Tabmwp(),
    "tatqa": TatQa(),
}
