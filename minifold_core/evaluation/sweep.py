"""Settings of the sampler side by side: the product of some values of some of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from minifold_core.errors import RequestError, did_you_mean
from minifold_core.evaluation.judge import Judgement
from minifold_core.interfaces import Process
from minifold_core.recipe import validate_section
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.recipe_tree import Leaf


@dataclass(frozen=True)
class Setting:
    """One point of a sweep.

    Attributes:
        values: the swept fields and their values here.
        config: all fields, the others as they were.
    """

    values: dict[str, Any]
    config: SamplingConfig

    @property
    def texts(self) -> list[str]:
        """The values, as short as they can be written."""
        return [f"{v:g}" if isinstance(v, float) else str(v) for v in self.values.values()]

    @property
    def name(self) -> str:
        """Such as ``steps 50, guidance 1.5``."""
        return ", ".join(map(" ".join, zip(self.values, self.texts, strict=True)))

    @property
    def stem(self) -> str:
        """The name, as a directory may be called."""
        return self.name.replace(", ", "-").replace(" ", "")


@dataclass(frozen=True)
class Swept:
    """What a setting gave, and the seconds that a sample took."""

    setting: Setting
    judgement: Judgement
    seconds: float

    def to_row(self) -> dict[str, Any]:
        """For ``sweep.csv`` and ``--json``: values, mean scores, TM-score over the best floor."""
        report = self.judgement.report
        low, high = report.verdict.difference.interval or (float("nan"),) * 2
        return {
            **self.setting.values,
            **report.rows[0].means,
            "floor": report.verdict.floor,
            "tm_difference": report.verdict.difference.mean,
            "tm_low": low,
            "tm_high": high,
            "seconds_per_sample": self.seconds,
        }


def parse_sweep(given: Sequence[str]) -> dict[str, list[str]]:
    """Fields and values of ``FIELD=VALUE,VALUE`` arguments.

    Raises:
        RequestError: an argument is not of that form, or a field comes twice.
    """
    fields: dict[str, list[str]] = {}
    for text in given:
        field, _, values = (part.strip() for part in text.partition("="))
        listed = [value.strip() for value in values.split(",")]
        if not field or not all(listed):
            raise RequestError(f"--sweep {text}: write FIELD=VALUE,VALUE, such as steps=10,50")
        if field not in SamplingConfig.model_fields:
            why = did_you_mean(field, SamplingConfig.model_fields)
            raise RequestError(f"--sweep {text}: the sampler has no '{field}'; {why}")
        if field in fields:
            raise RequestError(f"--sweep {text}: '{field}' is given twice")
        fields[field] = listed
    return fields


def settings_of(
    fields: Mapping[str, Sequence[str]], base: SamplingConfig, process: Process
) -> list[Setting]:
    """The product of the values, the first field changing slowest.

    Args:
        fields: what :func:`parse_sweep` read.
        base: the fields that are not swept.
        process: which has to allow the numbers of steps.

    Raises:
        RequestError: a value is out of range, or comes twice.
    """
    settings: dict[str, Setting] = {}
    for values in product(*fields.values()):
        chosen = {
            field: Leaf(value, f"--sweep {field}={value}")
            for field, value in zip(fields, values, strict=True)
        }
        config = validate_section(base, "sampling", chosen)
        process.trajectory(config.steps)
        setting = Setting({field: getattr(config, field) for field in fields}, config)
        if setting.name in settings:
            raise RequestError(f"--sweep: {setting.name} is given twice")
        settings[setting.name] = setting
    return list(settings.values())
