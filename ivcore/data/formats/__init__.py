"""Reads and writes the annotation files of the paper's datasets, as small records.

Every reader raises FormatError for a malformed line or entry; it names the file, the line and what was expected. Inside
`without_bad_rows`, single bad rows are left out and listed instead. Byte order marks, CRLF and blank lines are accepted. Relative
media paths start from `root`, or else from the annotation file's folder. Only the standard library is imported, because parameters
are checked before a kernel starts.
"""
# ruff: noqa: F401, I001  (this file lists what the folder offers)
# fmt: off

from ivcore.data.formats.ava import (
    AvaAction, AvaBox, PersonBox, read_ava_actions, read_ava_csv, read_ava_excluded,
    write_ava_actions, write_ava_csv, write_ava_excluded,
)
from ivcore.data.formats.ava_json import (
    AvaImage, read_ava_detections, read_ava_images, read_ava_truth, write_ava_detections, write_ava_json,
)
from ivcore.data.formats.caption_tables import (
    CaptionedSegment, in_split, read_caption_csv, read_caption_json, read_captions,
)
from ivcore.data.formats.captions import (
    CaptionedVideo, ClipSentence, SplitRow, read_lsmdc_table, read_msrvtt_csv, read_msrvtt_json,
    write_msrvtt_csv, write_msrvtt_json,
)
from ivcore.data.formats.ego4d import (
    NextObject, Picture, PictureSet, Query, read_changed, read_detections, read_hands, read_moments, read_nlq, read_sta,
)
from ivcore.data.formats.kinetics_release import KineticsClip, is_kinetics_release, read_kinetics_release
from ivcore.data.formats.navigation import (
    Episode, read_vln_episodes, read_vln_truth, write_vln_episodes, write_vln_truth,
)
from ivcore.data.formats.one_label import OneLabel
from ivcore.data.formats.open_set import read_hmdb_splits, read_ucf_classes
from ivcore.data.formats.questions import (
    Choice, Question, read_ans2label, read_choice_jsonl, read_lsmdc_choice, read_qa, read_video_numbers,
    write_ans2label, write_choice_jsonl, write_qa, write_qa_list,
)
from ivcore.data.formats.retrieval import (
    of_ids, read_didemo, read_msvd_captions, read_paragraphs, read_vatex, write_didemo,
    write_paragraphs, write_vatex, write_video_ids,
)
from ivcore.data.formats.segments import (
    Segment, UntrimmedVideo, read_activitynet_json, read_segments, read_thumos14, segment_labels,
    write_activitynet_json,
)
from ivcore.data.formats.something import read_ssv2_labels, write_ssv2_labels
from ivcore.data.formats.text import leave_out_bad_rows, without_bad_rows
from ivcore.data.formats.trimmed import (
    FrameFolder, LabelledVideo, PretrainVideo, TimedVideo, is_pretrain_list, read_class_names,
    read_kinetics_csv, read_pretrain_list, read_ssv2_list, read_timed_list, read_video_list,
    write_class_names, write_kinetics_csv, write_ssv2_list, write_timed_list,
)
from ivcore.data.formats.video_scores import read_video_scores
from ivcore.errors import ParameterError
# fmt: on

# The kinds that parameters name: `file kinetics_csv`.
READERS = {
    "kinetics_csv": read_kinetics_csv,
    "video_list": read_video_list,
    "class_names": read_class_names,
    "segments": read_segments,
    "video_scores": read_video_scores,
    "ava_excluded": read_ava_excluded,
    "ava_actions": read_ava_actions,
    "ava_truth": read_ava_truth,
    "ava_images": read_ava_images,
    "ava_detections": read_ava_detections,
    "msrvtt_csv": read_msrvtt_csv,
    "captions": read_captions,
    "qa": read_qa,
    "choice_jsonl": read_choice_jsonl,
    "ego4d_detections": read_detections,
}


def check(kind: str, path) -> int:
    """Reads the whole file as `kind` and returns its number of records. FormatError if it is malformed, ParameterError for an unknown kind.

    A Kinetics CSV is malformed, too, if a label has no name in the classes.txt beside it, or a video has two labels. The kind "video" is a
    single video file: returns its number of frames, VideoError if it is not a video.
    """
    if kind == "video":
        from ivcore.video.reader import VideoReader

        with VideoReader(path) as video:
            return len(video)
    if kind not in READERS:
        raise ParameterError(f"file kind {kind!r}: must be one of {', '.join(READERS)}, video")
    if kind == "kinetics_csv":
        return len(read_kinetics_csv(path, judge=OneLabel.beside(path)))
    return len(READERS[kind](path))
