"""Uploads a dataset to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.dataset.dataset import Dataset
from stepc.diagnostics import Place, fail, printable

FILES = ("README.md", "schema.json", "manifest.json", "units/*.stsg", "units/**/*.stsg")
"""Files that every dataset may have; its manifest names all others."""


def push(
    dataset: Path,
    repository: str,
    *,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload the output folder of a compile as a dataset; returns the address of the commit.

    `repository` is `NAME` or `OWNER/NAME`; it is made if it does not exist. `endpoint` and `token` are by
    default those of huggingface_hub (`HF_ENDPOINT`, `hf auth login`). Raises StepcError: T001 if the folder
    is no dataset with a card, T005 if huggingface_hub is missing, T007 if the hub refuses it.
    """
    place = Place(printable(str(dataset)))
    made = Dataset(dataset)
    if not (dataset / "README.md").is_file():
        help = "compile it again with the format jsonl, which writes README.md and data/"
        raise fail("T001", "the dataset has no card", place, help)
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalTokenNotFoundError,
        )
    except ImportError:
        help = "pip install 'stepc[local]'"
        raise fail("T005", "uploading needs huggingface_hub", place, help) from None
    unreachable: Any = HfHubHTTPError.__mro__[1]  # what its HTTP client raises, whichever it is
    files = [
        *made.manifest["files"],
        *(x["file"] for x in made.manifest.get("splits", {}).values()),
    ]
    api = HfApi(endpoint=endpoint, token=token, library_name="stepc")
    try:
        url = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=url.repo_id,
            repo_type="dataset",
            folder_path=dataset,
            allow_patterns=[*FILES, *files],
            delete_patterns=["data/*", "units/*"],
            commit_message=f"{len(made)} samples of {len(made.names)} videos",
        )
    except (HFValidationError, LocalTokenNotFoundError, unreachable, OSError) as error:
        why = printable(" ".join(str(error).split()))[:300]
        help = "log in with `hf auth login`, and check the name of the repository"
        raise fail(
            "T007", f"the hub did not take the dataset ({why})", Place(repository), help
        ) from error
    return str(done.commit_url)
