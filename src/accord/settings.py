"""What a firm may set, each by an environment variable that starts with ACCORD_."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """Where Accord keeps what is its own on this machine, by the XDG convention."""
    share = os.environ.get("XDG_DATA_HOME", "")
    # The convention says that a relative path there is to be ignored.
    base = Path(share) if share.startswith("/") else Path.home() / ".local" / "share"
    return base / "accord"


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())


class Settings(BaseSettings):
    """All settings of this process; raises pydantic's ValidationError naming each variable that is wrong."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_", frozen=True, env_ignore_empty=True)

    home: Path = Field(default_factory=default_home, description="Folder of the embedded database, keys and local CA.")
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL 15 or newer, as a URL. Without it Accord starts the PostgreSQL that it brings along.",
    )
    database_connections: int = Field(default=10, ge=2, description="Most database connections one process holds.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe message to log."
    )
    log_json: bool = Field(default=False, description="One JSON object a line instead of text for people.")
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8321, ge=0, le=65535, description="Port the server listens on; 0 takes a free one.")
    vault_key_file: Path | None = Field(
        default=None, description="File with the key that seals credentials; by default vault.key in the home folder."
    )

    private_addresses: str | None = Field(
        default=None,
        description="Networks that are not public and that connections may go to, such as `10.20.0.0/16,fd12::/48`.",
    )
    wrong_keys_per_minute: int = Field(
        default=60, ge=1, description="Wrong keys that one address may try a minute; more where a proxy hides callers."
    )

    @field_validator("private_addresses")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        _networks(value or "")
        return value

    @property
    def private_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """What `private_addresses` names."""
        return _networks(self.private_addresses or "")

    @property
    def vault_key_path(self) -> Path:
        """The file with the vault's key, whether it was set or not."""
        return self.vault_key_file or self.home / "vault.key"
