"""Configs: what a recipe can say of a component, without loading the component."""

from __future__ import annotations

import tomllib

import tomli_w
from pydantic import ValidationError

from minifold_core.components import ComponentConfig
from minifold_core.light import heavy_imports
from minifold_core.testing.subject import ConformanceError, Subject, expect

STRAY = "no_such_setting"


def config(subject: Subject) -> None:
    """A config survives a recipe file, refuses what it does not know, and imports nothing heavy."""
    made = subject.config
    expect(isinstance(made, ComponentConfig), f"{type(made).__name__} is no ComponentConfig")
    try:
        text = tomli_w.dumps(made.model_dump(mode="json", exclude_none=True))
    except TypeError as error:
        expect(False, f"the config cannot be written as TOML: {error}")
    again = type(made).model_validate(tomllib.loads(text))
    expect(again == made, f"the config comes back from TOML as {again!r}, it was {made!r}")
    try:
        type(made).model_validate({STRAY: 1} | tomllib.loads(text))
    except ValidationError as error:
        expect(STRAY in str(error), f"an unknown setting is not named in the refusal: {error}")
    else:
        expect(False, "an unknown setting is accepted; keep extra='forbid' of ComponentConfig")
    module = subject.spec.config.partition(":")[0]
    try:
        heavy = heavy_imports(f"import {module}")
    except ImportError as error:
        why = f"the config's module {module} cannot be imported: {error}"
        raise ConformanceError(why) from None
    expect(not heavy, f"importing the config's module {module} imports {', '.join(heavy)}")
