"""For the website: what becomes of links from docs/ to other files of the project.

They are links in a checkout. On the site they lead to the repository if ``repo_url`` in
``mkdocs.yml`` says where it is; otherwise the path is named. Links to files that are not there
end a strict build, as links within docs/ do.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^]\n]+)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
warnings = logging.getLogger("mkdocs.hooks.site_links")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The page's text, its links out of docs/ changed."""
    docs = Path(config["docs_dir"])
    here = (docs / page.file.src_uri).parent

    def led(match: re.Match[str]) -> str:
        label, target, anchor = match[1], (here / match[2]).resolve(), match[3] or ""
        if target.is_relative_to(docs):
            return match[0]
        if not target.exists() or not target.is_relative_to(docs.parent):
            warnings.warning("%s links to %s, which is not there", page.file.src_uri, match[2])
            return match[0]
        path = target.relative_to(docs.parent).as_posix()
        if url := config["repo_url"]:
            return f"[{label}]({url.rstrip('/')}/blob/main/{path}{anchor})"
        return f"{label} (`{path}`)"

    return LINK.sub(led, markdown)
