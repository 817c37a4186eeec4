"""Multi-view testing: several clips of a video and several crops of each clip, all from one decode (paper 4.3.1: 5 x 3, 7 x 3)."""

import numpy as np

from ivcore.data.clips import span
from ivcore.video import augment, sampling
from ivcore.video.frame_folder import open_video


class Views:
    """Items dict(views uint8 (num_clips * num_crops, T, size, size, 3), label, path), the clips slowest.

    videos: records with `.path` and `.label`, or the columns of `data.decoded.load` for a set that is in memory. sparse: each clip has one
    frame of each of `num_frames` equal parts of the whole video, and `stride` does not count. num_sparse: behind the dense frames of each clip come
    so many sparse ones for a second encoder, in the same crop.
    """

    def __init__(
        self,
        videos,
        *,
        num_frames: int,
        stride: int,
        size: int,
        num_clips: int = 1,
        num_crops: int = 1,
        sparse=False,
        num_sparse: int = 0,
    ):
        self.videos, self.sparse, self.num_sparse = videos, sparse, num_sparse
        self.num_frames, self.stride, self.size = num_frames, stride, size
        self.num_clips, self.num_crops = num_clips, num_crops

    def __len__(self) -> int:
        return len(self.videos["label"]) if isinstance(self.videos, dict) else len(self.videos)

    def __getitem__(self, index: int) -> dict:
        if isinstance(self.videos, dict):
            video = self.videos["video"][index]
            clips = [video[frames] for frames in self._frames(len(video))]
            label, path = int(self.videos["label"][index]), self.videos["path"][index]
        else:
            record = self.videos[index]
            clips, label, path = self._read(record), record.label, record.path
        crops = [augment.spatial_crops(clip, self.size, self.num_crops) for clip in clips]
        return {"views": np.concatenate(crops), "label": label, "path": path}

    def _frames(self, length: int, own: int | None = None) -> list[np.ndarray]:
        """own: the stride of a video that has one."""
        stride = own or self.stride
        if self.sparse:
            return sampling.sparse_views(length, self.num_frames, self.num_clips)
        if self.num_sparse:
            parts = {"num_dense": self.num_frames, "stride": stride, "num_sparse": self.num_sparse}
            return sampling.dense_and_sparse_views(length, self.num_clips, **parts)
        return sampling.views(length, self.num_frames, stride, self.num_clips)

    def _read(self, record) -> list[np.ndarray]:
        """Each frame that any clip needs is decoded once."""
        with open_video(record.path, self.size) as reader:
            first, stop = span(record, reader)
            clips = [first + clip for clip in self._frames(stop - first, getattr(record, "stride", None))]
            needed = np.unique(np.concatenate(clips))
            frames = reader.read(needed)
        return [frames[np.searchsorted(needed, clip)] for clip in clips]


def over_views(function, model, views: Views, batch_size: int = 64, num_workers: int = 0, *, prepare=None):
    """function(prepared clips (B, 3, T, H, W)) -> (B, K), of every view: (N, V, K) and labels (N,), on the CPU.

    Runs in eval mode and without gradients; `model` says on which device, and prepares the clips where `prepare` does not.
    """
    import torch
    from torch.utils.data import DataLoader

    model.eval()
    device, prepare = next(model.parameters()).device, prepare or model.prepare
    per_batch = max(1, batch_size // (views.num_clips * views.num_crops))
    loader = DataLoader(views, per_batch, num_workers=num_workers, timeout=300 if num_workers else 0)
    scores, labels = [], []
    with torch.inference_mode():
        for batch in loader:
            clips = batch["views"].to(device)
            scores.append(function(prepare(clips.flatten(0, 1))).float().cpu().unflatten(0, clips.shape[:2]))
            labels.append(torch.as_tensor(batch["label"]))
    return torch.cat(scores).clone(), torch.cat(labels).clone()
