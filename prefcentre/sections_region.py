"""Settings of where data may be: the region, and in which country each machine stands that gets people's data."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_HOST = re.compile(r"^[a-z0-9]([a-z0-9._:-]{0,250}[a-z0-9])?$")


class DataPlace(BaseModel):
    """A machine that people's data goes to, and the country it stands in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        min_length=1,
        description="Its name as the other settings have it, such as smtp.example.com; a name covers those below it.",
    )
    country: str = Field(
        pattern=r"^[A-Z]{2}$",
        description="The country where data is kept or read there, such as DE or US.",
    )
    operator: str = Field("", description="Who runs it, as it is called in the record.")

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        found = host.strip().strip(".").lower()
        if not _HOST.match(found):
            raise ValueError(
                "must be the name or the address of a machine, such as smtp.example.com"
            )
        return found


class Region(BaseModel):
    """Where data may be without anybody's further word (R147)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    within: Literal["EU", "EEA", "any"] = Field(
        "EEA", description="Where data may go: EU, EEA (with Iceland, Liechtenstein, Norway), any."
    )
    places: tuple[DataPlace, ...] = Field(
        (),
        description="The machines that get people's data, see below. One that is not named counts as unknown and is "
        "warned about; a mail server named outside the region is not used until that is acknowledged.",
    )
