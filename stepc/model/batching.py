"""One model shared by several videos: requests that arrive at the same time form one batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from stepc.ir.types import Frame
from stepc.model.client import Backend, Call, Completion, Together
from stepc.video.decode import Picture, Pictures


@dataclass
class _Part:
    """The pending calls of one video and the queue that receives their completions."""

    prompts: dict[str, Call]
    pictures: Pictures
    answers: queue.SimpleQueue[Completion | BaseException | None] = field(
        default_factory=queue.SimpleQueue
    )


class _Union(Pictures):
    """Serves the images of several videos."""

    def __init__(self, parts: list[_Part]) -> None:
        super().__init__()
        self.of = {
            frame.video: part.pictures
            for part in parts
            for prompt in part.prompts.values()
            for frame in prompt.frames
        }

    def at(self, frame: Frame) -> Picture:
        return self.of[frame.video].at(frame)


class Shared:
    """A backend that several threads share. The first thread that needs it creates it.

    A backend that is not thread-safe runs in one thread of its own, which batches the calls that
    are waiting.
    """

    identity: str
    templates: str
    together: Together

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._waiting: queue.SimpleQueue[_Part] = queue.SimpleQueue()

    def over(self, make: Callable[[], Backend]) -> Backend | Shared:
        """Return the backend if it is thread-safe (`parallel`), otherwise this proxy.

        Calls `make` once, on the first call. Raises what `make` raises.
        """
        with self._lock:
            if self._backend is None:
                self._backend = made = make()
                self.identity, self.templates = made.identity, made.templates
                self.together = made.together
                if not getattr(self._backend, "parallel", False):
                    threading.Thread(target=self._serve, daemon=True).start()
        return self._backend if getattr(self._backend, "parallel", False) else self

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer calls in a batch with those of other threads. Raises what the model raises."""
        part = _Part({p.key: p for p in prompts}, pictures)
        if not part.prompts:
            return
        self._waiting.put(part)
        while (answer := part.answers.get()) is not None:
            if isinstance(answer, BaseException):
                raise answer
            done(answer)

    def _serve(self) -> None:
        while True:
            parts = [self._waiting.get()]
            while not self._waiting.empty():
                parts.append(self._waiting.get())
            if len(parts) > 1:
                self._answer(parts)
            for part in parts:  # retried alone, so that an error reaches only the video it concerns
                part.answers.put(self._answer([part]))

    def _answer(self, parts: list[_Part]) -> BaseException | None:
        """Answer the calls that are still open; return the error, if any."""
        askers: dict[str, list[_Part]] = {}
        for part in parts:
            for key in part.prompts:
                askers.setdefault(key, []).append(part)

        def done(answer: Completion) -> None:
            for part in askers[answer.prompt.key]:
                del part.prompts[answer.prompt.key]
                part.answers.put(answer)

        every = {key: prompt for part in parts for key, prompt in part.prompts.items()}
        try:
            if every and self._backend is not None:
                self._backend.generate(list(every.values()), _Union(parts), done)
        except BaseException as error:  # handed to the threads that asked, which raise it
            return error
        return None
