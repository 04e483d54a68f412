"""Models of the files that people read and write, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from benchmark.errors import suggestion


class Later:
    """Marks a setting that came when there were records already.

    ``standardise: Annotated[bool, Later] = False``. At its default, which must do what was done
    before, it is left out of a run's identity, and the records of then stay valid.
    """


def has_mark(field: FieldInfo, mark: type) -> bool:
    """Whether a field is ``Annotated`` with a mark: the class itself or an instance of it."""
    return any(entry is mark or isinstance(entry, mark) for entry in field.metadata)


class Strict(BaseModel):
    """Unknown keys are errors, values do not change, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                near = suggestion(str(key), cls.model_fields)
                raise ValueError(
                    f"unknown key '{key}'.{near or ' Known: ' + ', '.join(cls.model_fields) + '.'}"
                )
        return values


def faults(error: ValidationError) -> list[str]:
    """What is wrong, an entry a fault: ``protocols › scratch › epochs: Input should be …``."""
    return [_fault(item) for item in error.errors()]


def _fault(item: ErrorDetails) -> str:
    place = " › ".join(str(part) for part in item["loc"] if part != "[key]")
    said = str(item["ctx"]["error"]) if item["type"] == "value_error" else item["msg"]
    return f"{place}: {said}" if place else said
