"""What the deployment is called, and what it logs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt


class Deployment(BaseModel):
    """What it is."""

    environment: str = Field("local", description="Name of the deployment, shown by the health endpoint and in logs.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    access_log: bool = Field(
        True, description="Whether Envoy writes a line for each call to its standard output, without query strings."
    )
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people.")
    processes: PositiveInt | Literal["auto"] = Field(
        "auto",
        description="Server processes that `memory-grpc up` runs behind Envoy, each with its own copy "
        "of the model; auto: one for every two CPUs. Other ways of running the service ignore "
        "it.",
    )
