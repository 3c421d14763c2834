"""The noising processes that tests are asked of."""

from __future__ import annotations

from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.process import DDPM
from minifold_edm.config import EDMConfig
from minifold_edm.process import EDM
from minifold_flow.config import FlowConfig
from minifold_flow.process import Flow

PROCESSES = {
    "ddpm": DDPM(DDPMConfig()),
    "flow": Flow(FlowConfig()),
    "logit_normal": Flow(FlowConfig(time_distribution="logit_normal", noise=16.0)),
    "edm": EDM(EDMConfig()),
}
