"""A yt-dlp plugin: `YoutubeIE` and `YoutubeTabIE` ask a local server for what YouTube would have said.

Copied to a plugin folder.
"""

import os
import subprocess
import sys
from pathlib import Path

from yt_dlp import utils
from yt_dlp.extractor.youtube import YoutubeIE, YoutubeTabIE

SERVER = (Path(__file__).parent / "server.txt").read_text().strip()


class FakeYoutubeIE(YoutubeIE, plugin_name="fake"):
    """YouTube, as far as extraction goes; everything after it is yt-dlp's own."""

    def _real_extract(self, url):
        video_id = self._match_id(url)
        page = self._download_json(f"{SERVER}/page/{video_id}", video_id)
        if page.get("disk_full"):
            _fill_the_disk()
        if page.get("spawn"):  # what a JavaScript runtime that hangs looks like
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
            names = "/".join(sorted(os.environ))
            self._request_webpage(f"{SERVER}/spawned/{os.getpid()}/{process.pid}/{names}", video_id, fatal=False)
            process.wait()
        if "error" in page:
            kind, message = page["error"]
            if kind == "GeoRestrictedError":
                self.raise_geo_restricted(message, countries=["DE"])
            raise getattr(utils, kind)(message, expected=True)
        return page["info"]


class FakeYoutubeTabIE(YoutubeTabIE, plugin_name="fake"):
    """A playlist's page; which of its entries are listed is yt-dlp's own."""

    def _real_extract(self, url):
        playlist_id = url.partition("list=")[2]
        page = self._download_json(f"{SERVER}/page/{playlist_id}", playlist_id)
        if "error" in page:
            kind, message = page["error"]
            raise getattr(utils, kind)(message, expected=True)
        entries = (self._entry(number, entry) for number, entry in enumerate(page["entries"]))
        return self.playlist_result(entries, playlist_id, page["title"], playlist_count=page["total"])

    def _entry(self, number, entry):
        if number and number % 100 == 0:  # YouTube hands them out by the hundred
            self._request_webpage(f"{SERVER}/more/{number}", str(number), fatal=False)
        return self.url_result(f"https://www.youtube.com/watch?v={entry['id']}", YoutubeIE, **entry)


def _fill_the_disk():
    """Every file that a download opens is on a full disk (/dev/full): writing to it fails as on a real one."""
    import yt_dlp.downloader.common as common

    full = Path("/dev/full")
    common.FileDownloader.sanitize_open = lambda self, name, mode: (full.open(mode, buffering=0), name)
