"""The hub where base models are published: what a repository holds, and its files as streams.

The hub's own library lists a repository, names its addresses and explains its refusals. The bytes are
streamed by us, because that library throws away what it has when a download is broken off.

Nothing is sent but the requests for the files: no token, no telemetry, no names of this computer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import CorruptModelError, ModelError, UnsafeModelError

if TYPE_CHECKING:
    from allie_desktop.models.offers import Offer

#: Weights and descriptions; what could run a program never leaves the hub.
WANTED = re.compile(
    r"[A-Za-z0-9][\w.-]*\.safetensors|(model\.safetensors\.index|config|generation_config|tokenizer"
    r"|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json"
    r"|tokenizer\.model|chat_template\.jinja|merges\.txt|LICENSE(\.txt|\.md)?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")

_SECONDS_OF_SILENCE = 10.0  # also the longest that a cancellation waits
_COME_BACK_LATER = frozenset({408, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a repository. ``sha256`` of large files, else ``blob``: the SHA-1 under which git knows the content."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


class CutError(Exception):
    """The connection ended before the file did."""


class Hub:
    """``endpoint`` replaces the address of the hub."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def listing(self, offer: Offer) -> tuple[str, list[RemoteFile]]:
        """Return the commit that the offer's revision means, and its files that are wanted."""
        hub = _library()
        with _explained(offer), _in_its_language():
            info = hub.HfApi(endpoint=self._endpoint, token=False, library_name="allie-desktop").model_info(
                offer.repository, revision=offer.revision, files_metadata=True, timeout=_SECONDS_OF_SILENCE
            )
        commit = str(info.sha or "")
        if not _COMMIT.match(commit) or (_COMMIT.match(offer.revision) and commit != offer.revision):
            raise CorruptModelError(
                f"The hub does not give {offer.title} as it was pinned.",
                "Try again later, or choose another model.",
            )
        files = []
        for entry in info.siblings or ():
            if not WANTED.fullmatch(entry.rfilename):
                continue
            sha256 = entry.lfs.sha256 if entry.lfs is not None else ""
            pinned = offer.sha256.get(entry.rfilename, sha256)
            if not isinstance(entry.size, int) or entry.size < 0 or (sha256 and pinned != sha256):
                raise CorruptModelError(
                    f"The hub describes {entry.rfilename} of {offer.title} otherwise than it was pinned.",
                    "Try again later, or choose another model.",
                )
            files.append(
                RemoteFile(name=entry.rfilename, size=entry.size, sha256=pinned, blob=entry.blob_id or "")
            )
        names = {file.name for file in files}
        if not any(name.endswith(".safetensors") for name in names) or "config.json" not in names:
            raise UnsafeModelError(
                f"{offer.title} has no weights as safetensors.",
                "Allie loads only safetensors and GGUF: other forms can hold programs. Choose another model.",
            )
        if missing := offer.sha256.keys() - names:
            raise CorruptModelError(
                f"The hub has no {min(missing)} in {offer.title}.",
                "Try again later, or choose another model.",
            )
        return commit, files

    @contextmanager
    def opened(self, offer: Offer, commit: str, name: str, *, start: int) -> Iterator[Any]:
        """Yield the HTTP response with a file from byte ``start`` on: status 200, 206 or 416, and
        ``iter_bytes``. Raises :class:`CutError` when the connection fails or breaks, before or within the
        block, and :class:`ModelError` when the hub refuses."""
        hub = _library()
        url = hub.hf_hub_url(offer.repository, name, revision=commit, endpoint=self._endpoint)
        headers = hub.utils.build_hf_headers(token=False, library_name="allie-desktop")
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        with (
            _explained(offer, cut=True),
            hub.get_session().stream(
                "GET", url, headers=headers, timeout=_SECONDS_OF_SILENCE, follow_redirects=True
            ) as response,
        ):
            status = response.status_code
            if status >= 500 or status in _COME_BACK_LATER:
                raise CutError
            if status >= 400 and status != 416:
                response.read()
                hub.utils.hf_raise_for_status(response)
            yield response


def _library() -> Any:
    """Return the hub's library, told to send nothing of its own."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # noqa: S105 - a switch
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    # It may have been imported before, by transformers.
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True
    return huggingface_hub


@contextmanager
def _explained(offer: Offer, *, cut: bool = False) -> Iterator[None]:
    """Turn what the hub's library raises into sentences, and (with ``cut``) lost connections into
    :class:`CutError`."""
    errors = _library().errors
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{offer.title} may be downloaded only with an account that accepted its terms.",
            "Download it yourself, and choose its folder as base model.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{offer.title} has no revision {offer.revision} on the hub any more.", "Choose another model."
        ) from error
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise ModelError(
            f"The hub has no {offer.repository} that everybody may see.",
            "Look at the name: OWNER/NAME, as in the address of its page.",
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(
            "Downloads are switched off by the environment variable HF_HUB_OFFLINE.",
            "Unset it and try again.",
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            raise ModelError(
                f"The hub does not let {offer.title} be downloaded without an account.",
                "Download it yourself, and choose its folder as base model.",
            ) from error
        raise ModelError(
            f"The hub answered with an error ({status}).", "Try again later; what came so far is kept."
        ) from error
    except errors.HTTPError as error:  # no connection, or none any more
        if cut:
            raise CutError from error
        raise unreachable(offer) from error


@contextmanager
def _in_its_language() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # as of a hotel's network
        if isinstance(error, OSError):  # some of the library's own are both
            raise
        raise ModelError(
            "What answered in the place of the hub does not speak its language.",
            "Look whether this network wants you to log in first.",
        ) from error


def unreachable(offer: Offer) -> ModelError:
    """Return the error for a hub that does not answer."""
    return ModelError(
        f"The hub cannot be reached, so {offer.title} cannot be downloaded.",
        "Look at the network and start again: what came so far is kept.",
    )
