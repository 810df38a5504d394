"""Taggers on huggingface.co, by huggingface_hub's own mixin; needs the extra `hub`.

HubTagger(tagger).push_to_hub("me/my-tagger")
tagger = HubTagger.from_pretrained("me/my-tagger")  # or a folder
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger import Tagger, load

try:
    from huggingface_hub import ModelHubMixin, snapshot_download
except ImportError as error:
    raise ImportError("the model hub needs huggingface_hub: pip install 'elmo-tagger[hub]'") from error

FILES = ("config.json", "model.safetensors", "README.md")


class HubTagger(Tagger, ModelHubMixin, library_name="elmo_tagger", pipeline_tag="token-classification"):
    """A tagger with `from_pretrained`, `save_pretrained` and `push_to_hub`.

    Args:
        tagger: Any tagger; the two share their network.
    """

    def __init__(self, tagger: Tagger) -> None:
        super().__init__(tagger.config, tagger.vocabulary, tagger.model, card=tagger.card)

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save(save_directory, force=True)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        device: str = "cpu",
        language: str | None = None,
        proxies: dict[str, str] | None = None,
        resume_download: bool | None = None,
        **unknown: Any,
    ) -> HubTagger:
        """As `elmo_tagger.load`, of a folder or of a repository on the hub."""
        if unknown:
            raise ElmoTaggerError(f"from_pretrained: expected device or language, received {', '.join(unknown)}")
        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                    proxies=proxies,
                    allow_patterns=list(FILES),
                )
            )
        return cls(load(folder, device=device, language=language))
