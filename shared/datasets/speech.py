"""Japanese vowels, with u = speaker."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from identiflow.shared.datasets.files import data_files
from identiflow.shared.datasets.real import RealData, real_data
from identiflow.shared.inputs.arrays import Array

_PARTS = {"train": "JapaneseVowels_TRAIN.ts", "test": "JapaneseVowels_TEST.ts"}


def load_japanese_vowels(folder: str | os.PathLike[str] | None = None) -> RealData:
    """Load the Japanese vowels: 12 cepstrum coefficients of each frame of 640 utterances.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.

    Returns:
        `RealData`: x (9961, 12), u the speaker 1 ... 9, covariates "utterance" (0 ... 639),
        "frame" (position in the utterance) and "part" (the published "train" or "test").

    Example:
        >>> data = load_japanese_vowels()  # doctest: +SKIP
        >>> data.x.shape  # doctest: +SKIP
        (9961, 12)
    """
    paths = data_files("japanese_vowels", _PARTS.values(), folder)
    utterances = [
        (part, *utterance)
        for part, filename in _PARTS.items()
        for utterance in _read_utterances(paths[filename])
    ]
    lengths = [len(frames) for _, frames, _ in utterances]
    return real_data(
        "japanese_vowels",
        x=np.concatenate([frames for _, frames, _ in utterances]),
        u=np.repeat([speaker for _, _, speaker in utterances], lengths),
        covariates={
            "utterance": np.repeat(np.arange(len(utterances)), lengths),
            "frame": np.concatenate([np.arange(length) for length in lengths]),
            "part": np.repeat([part for part, _, _ in utterances], lengths),
        },
        feature_names=tuple(f"lpcc_{j + 1}" for j in range(12)),
    )


def _read_utterances(path: Path) -> list[tuple[Array, int]]:
    """(frames of shape (length, 12), speaker); a line is "series:series:...:speaker"."""
    lines = path.read_text(encoding="utf-8").splitlines()
    split = [line.split(":") for line in lines if line and line[0] not in "#@"]
    return [
        (np.array([s.split(",") for s in series], dtype=np.float64).T, int(speaker))
        for *series, speaker in split
    ]
