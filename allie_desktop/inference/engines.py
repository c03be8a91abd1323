"""Which engine runs which version."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.planning import BaseModel
from allie_desktop.domain.ports import ChatEngine, VersionRepository
from allie_desktop.domain.versions import BASE

if TYPE_CHECKING:
    from allie_desktop.inference.torch_engine import TorchEngine
    from allie_desktop.models.gguf_header import GgufHeader


class LocalEngines:
    """:class:`domain.ports.ChatEngines` on this machine: llama.cpp for a GGUF base, torch for a folder.

    ``base`` says which base model it is, each time anew. ``cache`` keeps it unpacked, ``converted`` the
    adapters in llama.cpp's form. ``threads`` None: the engine's own choice. Any thread.
    """

    def __init__(
        self,
        versions: VersionRepository,
        base: Callable[[], BaseModel],
        *,
        cache: Path,
        converted: Path,
        threads: int | None = None,
        device: str | None = None,
    ) -> None:
        self._versions = versions
        self._base = base
        self._cache = cache
        self._converted = converted
        self._threads = threads
        self._device = device
        self._lock = threading.Lock()
        self._header: tuple[str, GgufHeader] | None = None
        self._shared: tuple[str, TorchEngine] | None = None
        self._sharers = 0
        self._made = 0

    def load(self, version: str) -> ChatEngine:
        """See the port. The version's files are checked against their manifest first."""
        base = self._base()
        adapter = None
        if version != BASE:
            known = self._versions.get(version)
            self._versions.verify(version)
            adapter = Path(known.path)
        if Path(base.path).is_dir():
            return self._torch(base, version, adapter)
        return self._llama(base, version, adapter)

    def _llama(self, base: BaseModel, version: str, adapter: Path | None) -> ChatEngine:
        from allie_desktop.inference.llama_engine import LlamaEngine

        path = Path(base.path)
        converted = None
        if adapter is not None:
            from allie_desktop.inference.gguf_adapter import cached_adapter, forget_cached

            folder = self._converted / base.sha256[:16]
            converted = cached_adapter(version, adapter, path, folder)
            with contextlib.suppress(AllieError):
                forget_cached(folder, frozenset(v.metadata.version for v in self._versions.all()))
        return LlamaEngine(path, self._header_of(base), adapter=converted, threads=self._threads)

    def _header_of(self, base: BaseModel) -> GgufHeader:
        from allie_desktop.models.gguf_header import read_header

        with self._lock:
            if self._header is None or self._header[0] != base.sha256:
                self._header = (base.sha256, read_header(Path(base.path)))
            return self._header[1]

    def _torch(self, base: BaseModel, version: str, adapter: Path | None) -> ChatEngine:
        from allie_desktop.inference.torch_chat import TorchChat

        with self._lock:
            engine = self._torch_base(base)
            name = None
            if adapter is not None:
                self._made += 1  # a version that is loaded anew beside its closing self needs its own name
                name = f"{version}#{self._made}"
                engine.load_adapter(name, adapter)
            self._sharers += 1
        return TorchChat(engine, name, self._released)

    def _torch_base(self, base: BaseModel) -> TorchEngine:
        """Return the engine that all versions of a base share; called with the lock held."""
        from allie_desktop.inference.torch_engine import TorchEngine
        from allie_desktop.models.loading import load_base

        if self._shared is None or self._shared[0] != base.sha256:
            self._shared = None
            loaded = load_base(base, cache=self._cache, device=self._device)
            self._shared, self._sharers = (base.sha256, TorchEngine(loaded)), 0
        return self._shared[1]

    def _released(self, engine: TorchEngine) -> None:
        with self._lock:
            if self._shared is not None and self._shared[1] is engine:
                self._sharers -= 1
                if not self._sharers:
                    self._shared = None
