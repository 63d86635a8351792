"""Files to arrays: the waveform of a clip, and only those of its frames that an encoder looks at.

Every file is a stranger's. Only the containers in `CONTAINERS` are opened, through libav's `file:` protocol alone (no
playlists, no network, no references to other files); what a header says is checked before it is used, and again
against what the decoder delivers; a broken packet costs that packet. Every failure ends in one of `clipsim.errors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import SAMPLE_RATE, WindowSpec
from clipsim.encoders._device import threads
from clipsim.errors import FileMissing, NotMedia, TooLong, TooShort
from clipsim.model import Vector

if TYPE_CHECKING:
    from av.container import InputContainer

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,ogg,flac,wav,mpegts,aac"  # libav's demuxers; the last two: HLS
MIN_DURATION = 1.0  # seconds; shorter than this there is nothing to compare
MAX_SIDE = 8192  # pixels; larger frames are refused, by their header and by the decoder
MAX_ASPECT = 4  # long side over short side of a scaled frame; anything longer is squeezed to this
MAX_FPS = 1000.0  # frames a second; a header that claims more is not believed
MIN_RATE, MAX_RATE = 4000, 768_000  # Hz, of a sound stream; outside it the header is nonsense
MAX_PEAK = 4.0  # full scale is 1; decoders overshoot a little, a file of floats may hold anything
SLACK = 0.5  # seconds that a clip may run past the limit: containers round their durations
SEEK_GAP = 1.0  # seconds; a window that begins this soon after the last one is reached by decoding on
TICK = 1e-6  # seconds; times this close are one: what is wanted just when a frame begins is that frame
SILENCE_DB = -60.0  # dB below full scale; silent if no block's RMS is louder (dither lies at -90, a quiet intro at -50)
SILENCE_BLOCK = 0.1  # seconds
BLACK_LUMA = 24  # of 255 (BT.601); black if 99 % of all pixels are no lighter
BLACK_PERCENTILE = 99.0
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601 weights of red, green, blue

Windows = NDArray[np.uint8]  # shape (windows, frames, height, width, 3), RGB


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file's header says, as far as it can be believed. A cover picture is not video."""

    duration: float | None  # seconds; None where the container does not say
    has_audio: bool
    has_video: bool
    width: int | None = None  # pixels
    height: int | None = None
    fps: float | None = None  # frames a second on average


def probe(path: Path | str) -> Probe:
    """Read a file's header.

    Raises:
        FileMissing: there is no such file.
        NotMedia: it is not one of the supported containers, holds neither sound nor video, or its frames are larger
            than `MAX_SIDE`.
        TooShort: it says that it lasts less than `MIN_DURATION`.
    """
    with _opened(path) as container:
        audio, video = _audio(container), _video(container)
        if audio is None and video is None:
            raise NotMedia
        duration = _duration(container, audio, video)
        if duration is not None and duration < MIN_DURATION:
            raise TooShort
        if video is None:
            return Probe(duration, has_audio=True, has_video=False)
        context = video.codec_context
        return Probe(duration, audio is not None, True, context.width, context.height, _fps(video))


def decode_audio(path: Path | str, max_duration: float | None = None) -> Vector:
    """The sound of a file as a mono float32 waveform at 22,050 Hz, shape (samples,).

    Mono is the mean of the channels (as in librosa), the resampler is libav's. Broken packets are skipped; samples
    that are not finite become silence, and peaks over `MAX_PEAK` are cut.

    Raises:
        FileMissing, NotMedia: as for `probe`; also where nothing can be decoded.
        TooShort: less than `MIN_DURATION` was decoded.
        TooLong: it says that it lasts longer than `max_duration` seconds, or it does.
    """
    with _opened(path) as container:
        stream = _audio(container)
        if stream is None:
            raise NotMedia("That file has no sound.", hint="")
        _refuse_long(_duration(container, stream, None), max_duration)
        limit = math.inf if max_duration is None else (max_duration + SLACK) * SAMPLE_RATE
        chunks, count = [], 0
        for chunk in _waveform(container, stream):
            chunks.append(chunk)
            count += len(chunk)
            if count > limit:  # the header said less than there is
                _refuse_long(count / SAMPLE_RATE, max_duration)
    if not count:
        raise NotMedia("The sound of that file cannot be decoded.")
    if count < MIN_DURATION * SAMPLE_RATE:
        raise TooShort
    waveform = np.concatenate(chunks)
    np.nan_to_num(waveform, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(waveform, -MAX_PEAK, MAX_PEAK, out=waveform)


def read_windows(path: Path | str, spec: WindowSpec) -> Windows:
    """The frames that an encoder looks at, uint8 RGB, shape (windows, frames, height, width, 3).

    The clip is cut into `spec.count` equal parts, and each window lies in the middle of its part; it begins with the
    frame on screen at that moment, and goes on with the frames that follow, or with those on screen every `spec.step`
    seconds. The decoder is sent to the keyframe before each window and decodes from there. Frames are scaled
    (bilinear) so that the short side has `spec.short_side` pixels and the long side keeps the shape of the picture, up
    to `MAX_ASPECT`; of that only the middle square of `spec.crop` pixels is kept. Rotation marks are ignored.

    A clip too short for `spec.count` windows side by side gives fewer, at least one. Where frames run out (the end of
    the clip, broken packets) a window is filled by playing its own frames again from its first. A window without any
    frame is left out.

    Raises:
        FileMissing, NotMedia: as for `probe`; also where there is no video or no frame of it can be decoded.
    """
    if spec.count < 1 or spec.frames < 1 or spec.short_side < 1:
        raise ValueError(f"a window needs frames of a size, not {spec}")
    with _opened(path) as container:
        stream = _video(container)
        if stream is None:
            raise NotMedia("That file has no video.", hint="")
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads()
        stream.codec_context.options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}
        begin, end = _span(container, stream)
        fps = _fps(stream) or 25.0
        windows = _read(container, stream, spec, _starts(begin, end, spec, fps), fps)
        if windows is None:  # the header's times lead nowhere: take what there is from the beginning
            windows = _read(container, stream, spec, [-math.inf], fps)
    if windows is None:
        raise NotMedia("The video of that file cannot be decoded.")
    return windows


def is_silent(waveform: Vector) -> bool:
    """Whether nothing can be heard: no stretch of `SILENCE_BLOCK` seconds is louder than `SILENCE_DB` (RMS)."""
    block = int(SILENCE_BLOCK * SAMPLE_RATE)
    if not len(waveform):
        return True
    whole = waveform[: len(waveform) // block * block].reshape(-1, block)
    blocks = [*np.einsum("bs,bs->b", whole, whole) / block, float(np.mean(np.square(waveform[-block:])))]
    return bool(max(blocks) < 10 ** (SILENCE_DB / 10))


def is_black(windows: Windows) -> bool:
    """Whether nothing can be seen: `BLACK_PERCENTILE` % of all pixels are no lighter than `BLACK_LUMA`."""
    pixels = windows[:, :, ::2, ::2].reshape(-1, 3)
    light = sum(np.count_nonzero(part @ LUMA > BLACK_LUMA) for part in np.array_split(pixels, len(pixels) // 2**20 + 1))
    return bool(light <= len(pixels) * (1 - BLACK_PERCENTILE / 100))


@contextmanager
def _opened(path: Path | str) -> Iterator[InputContainer]:
    import av

    file = Path(path)
    if not file.is_file():
        raise FileMissing(f"There is no file {file.name or file}.")
    # `file:` keeps a name such as "concat:a|b" from being taken for a protocol.
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(f"file:{file}", options=options, metadata_errors="replace") as container:
            yield container
    except PermissionError:
        raise FileMissing(f"The file {file.name} cannot be read.", hint="Check its permissions.") from None
    except (av.error.FFmpegError, EOFError, UnicodeError) as error:
        raise NotMedia from error


def _audio(container: InputContainer) -> Any:
    """The first sound stream that can be decoded, or None."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and MIN_RATE <= (stream.codec_context.sample_rate or 0) <= MAX_RATE:
            return stream
    return None


def _video(container: InputContainer) -> Any:
    """The first moving picture that can be decoded, or None."""
    from av.stream import Disposition

    for stream in container.streams.video:
        context = stream.codec_context
        if context is None or stream.disposition & Disposition.attached_pic or not (context.width and context.height):
            continue
        if max(context.width, context.height) > MAX_SIDE or min(context.width, context.height) < 1:
            raise NotMedia(f"Frames of {context.width} × {context.height} pixels are too large.", hint="")
        return stream
    return None


def _fps(stream: Any) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= MAX_FPS:
            return float(rate)
    return None


def _duration(container: InputContainer, *streams: Any) -> float | None:
    """The longest duration (seconds) that the container or one of these streams claims; None where none makes sense."""
    claims = [] if container.duration is None else [container.duration / 1_000_000]
    claims += [float(s.duration * s.time_base) for s in streams if s is not None and s.duration and s.time_base]
    return max((claim for claim in claims if math.isfinite(claim) and claim > 0), default=None)


def _refuse_long(duration: float | None, max_duration: float | None) -> None:
    if duration is not None and max_duration is not None and duration > max_duration + SLACK:
        raise TooLong(f"That clip lasts over {_minutes(duration)}; the limit is {_minutes(max_duration)}.")


def _minutes(seconds: float) -> str:
    minutes = round(seconds) // 60
    return f"{minutes} minutes" if minutes > 1 else f"{round(seconds)} seconds"


def _waveform(container: InputContainer, stream: Any) -> Iterator[Vector]:
    """Mono float32 pieces at 22,050 Hz, in order."""
    import av

    resampler, kind = None, None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue  # a broken packet: go on with the next
        for frame in frames:
            if not MIN_RATE <= frame.sample_rate <= MAX_RATE:
                continue
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or now != kind:  # a stream may change its channels on the way
                if resampler is not None:
                    yield from _mono(resampler.resample(None))
                resampler, kind = av.AudioResampler(format="fltp", rate=SAMPLE_RATE), now
            frame.pts = None  # gaps and jumps in the time stamps are no sound
            yield from _mono(resampler.resample(frame))
    if resampler is not None:
        yield from _mono(resampler.resample(None))


def _mono(frames: list[Any]) -> Iterator[Vector]:
    for frame in frames:
        if frame.samples:
            yield frame.to_ndarray().mean(axis=0, dtype=np.float32)


def _span(container: InputContainer, stream: Any) -> tuple[float, float]:
    """When the video begins and ends, in seconds on the stream's own clock.

    Where the header does not say, the packets are counted (read, not decoded).
    """
    base = float(stream.time_base or 0)
    begin = float(stream.start_time * base) if stream.start_time is not None else 0.0
    if stream.duration and base and 0 < stream.duration * base < math.inf:
        return begin, begin + stream.duration * base
    duration = _duration(container)
    if duration is not None:
        return begin, begin + duration
    times = [p.pts * base for p in container.demux(stream) if p.pts is not None]
    container.seek(0, any_frame=False)
    return (min(times), max(times)) if times else (begin, begin)


def _starts(begin: float, end: float, spec: WindowSpec, fps: float) -> list[float]:
    """When each window begins, ascending, in seconds."""
    step = spec.step or 1 / fps
    length = step * spec.frames
    room = end - begin - length
    if room <= 0:
        return [begin]
    count = min(spec.count, max(1, round((end - begin) / length)))  # more would show the same frames again
    part = (end - begin) / count
    return [begin + min(max((i + 0.5) * part - length / 2, 0.0), room) for i in range(count)]


@dataclass(slots=True)
class _Window:
    """A window while it is filled."""

    start: float  # seconds
    frames: NDArray[np.uint8]  # shape (frames, height, width, 3)
    filled: int = 0  # of them

    def wanted(self, spec: WindowSpec) -> float:
        """When its next frame is on screen; minus infinity for "whichever comes next"."""
        if not self.filled:
            return self.start
        return -math.inf if spec.step is None else self.start + self.filled * spec.step


def _read(container: InputContainer, stream: Any, spec: WindowSpec, starts: list[float], fps: float) -> Windows | None:
    """The windows that begin at `starts` (ascending), empty ones left out; None where all are."""
    scale = _Scaler(stream, spec)
    length = spec.frames * (spec.step or 1 / fps)
    found = np.empty((len(starts), spec.frames, *scale.shape), np.uint8)
    windows = [_Window(start, room) for start, room in zip(starts, found, strict=True)]
    first = 0
    while first < len(windows):
        last = first + 1
        while last < len(windows) and windows[last].start - (windows[last - 1].start + length) < SEEK_GAP:
            last += 1
        _fill(container, stream, windows[first:last], spec, scale, fps)
        first = last
    for window in windows:
        for i in range(window.filled, spec.frames if window.filled else 0):
            window.frames[i] = window.frames[i % window.filled]
    seen = [i for i, window in enumerate(windows) if window.filled]
    return found if len(seen) == len(windows) else found[seen] if seen else None


def _fill(
    container: InputContainer, stream: Any, windows: list[_Window], spec: WindowSpec, scale: _Scaler, fps: float
) -> None:
    """Fill neighbouring windows in one go, from the keyframe before the first of them."""
    _seek(container, stream, windows[0].start)
    before: Any = None  # the frame on screen until the one just decoded
    for time, frame in _frames(container, stream, fps):
        # A frame is on screen until the next one: what was wanted before `time` is the frame before it.
        if before is not None:
            _take(windows, spec, scale, before, until=time)
        if all(window.filled == spec.frames for window in windows):
            return
        before = frame
    if before is not None:
        _take(windows, spec, scale, before, until=math.inf)


def _take(windows: list[_Window], spec: WindowSpec, scale: _Scaler, frame: Any, until: float) -> None:
    """Give a frame that is on screen until `until` to each window that wants it."""
    picture = None
    for window in windows:
        while window.filled < spec.frames and window.wanted(spec) + TICK < until:
            if until == math.inf and window.filled and spec.step is not None:
                break  # past the end: the window plays its own frames again
            picture = scale(frame) if picture is None else picture
            window.frames[window.filled] = picture
            window.filled += 1
            if spec.step is None:
                break  # consecutive: each frame once


def _frames(container: InputContainer, stream: Any, fps: float) -> Iterator[tuple[float, Any]]:
    """(time in seconds, frame) from where the container stands, ascending; broken packets are skipped."""
    import av

    base = float(stream.time_base or 0)
    time = -math.inf
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is not None:
                    now = frame.pts * base
                    time = now if now > time else time + 1 / fps
                else:
                    time = 1 / fps + (time if math.isfinite(time) else 0.0)
                if max(frame.width, frame.height) <= MAX_SIDE:
                    yield time, frame
    except av.error.FFmpegError:
        return  # the file ends in the middle of something: what came before it is good


def _seek(container: InputContainer, stream: Any, time: float) -> None:
    """To the last keyframe before `time` (seconds), or to the beginning where the file cannot be searched."""
    import av

    start = stream.start_time or 0
    target = int(time / float(stream.time_base)) if math.isfinite(time) and stream.time_base else start
    for offset in (max(target, start), start):
        try:
            container.seek(offset, stream=stream, backward=True)
            return
        except (av.error.FFmpegError, OverflowError):
            continue


class _Scaler:
    """Scales every frame of a stream to one size, by libswscale, and cuts out its middle.

    In two steps: to size in the colours of the stream, whose planes of hue are a quarter, then to RGB. In one step
    libswscale takes a slow way through 16 bits a colour: three times as long.
    """

    def __init__(self, stream: Any, spec: WindowSpec) -> None:
        from av.video.reformatter import VideoReformatter

        width, height = stream.codec_context.width, stream.codec_context.height
        ratio = spec.short_side / min(width, height)
        longest = MAX_ASPECT * spec.short_side
        self.width = min(max(round(width * ratio), spec.short_side), longest)
        self.height = min(max(round(height * ratio), spec.short_side), longest)
        self.rows, self.columns = _middle(self.height, spec.crop), _middle(self.width, spec.crop)
        self.to_size, self.to_rgb = VideoReformatter(), VideoReformatter()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture: height, width, 3."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start, 3

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """A frame as uint8 RGB, shape (height, width, 3): a view into libav's own memory."""
        scaled = self.to_size.reformat(
            frame, width=self.width, height=self.height, format="yuv420p", interpolation="BILINEAR"
        )
        plane: Any = self.to_rgb.reformat(scaled, format="rgb24").planes[0]
        pixels = np.frombuffer(plane, np.uint8).reshape(self.height, plane.line_size)[:, : 3 * self.width]
        return pixels.reshape(self.height, self.width, 3)[self.rows, self.columns]


def _middle(length: int, crop: int | None) -> slice:
    if crop is None or crop >= length:
        return slice(0, length)
    return slice((length - crop) // 2, (length - crop) // 2 + crop)
