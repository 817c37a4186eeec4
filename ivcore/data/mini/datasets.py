"""The table of miniature datasets, which `iv data mini --list` prints. To add one, write a writer and a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ivcore.data.mini import captioned, navigated, trimmed, untrimmed, video_questions
from ivcore.data.mini.egocentric import ego4d
from ivcore.data.mini.trimmed import HMDB, MIT, activitynet_trimmed, hacs, hmdb51, kinetics, open_set
from ivcore.data.mini.untrimmed import ava, segments

KNOWN, SEGMENTS, SEARCH, ASKED = "open-set recognition", "temporal localization", "retrieval", "question answering"
SPORTS = ("Applying sunscreen", "Archery", "Arm wrestling", "Assembling bicycle")
HOUSE = ("apply_eye_cream", "apply_eyebrow", "apply_eyeliner", "apply_lipstick")


@dataclass(frozen=True)
class Mini:
    """files: annotation files and videos, relative to the folder; write(folder) makes them."""

    title: str
    task: str
    files: str
    write: Callable[[Path], None]


_VIDEOMAE = "train.csv val.csv test.csv CLASS/ID.mp4"
_AVA = "ava_{train,val}_v2.2.csv ava_{train,val}_v2.2_min.json ava_{train,val}_det_person_bbox.json " \
       "ava_{train,val}_excluded_timestamps_v2.2.csv ava_action_list_v2.2_for_activitynet_2019.pbtxt videos/ID.mp4"  # fmt: skip
_UCF = "ucf101/ucf101_{train,val}_split_1_videos.txt ucf101/classInd.txt ucf101/videos/"

DATASETS: dict[str, Mini] = {
    "k400": Mini("Kinetics-400", "recognition", _VIDEOMAE, partial(kinetics, rows=(0, 1, 2, 3))),
    "k600": Mini("Kinetics-600", "recognition", _VIDEOMAE, partial(kinetics, rows=(0, 1, 405, 450))),
    "k700": Mini("Kinetics-700", "recognition", _VIDEOMAE, partial(kinetics, rows=(0, 2, 505, 709))),
    "ssv1": Mini("Something-Something V1", "recognition",
                 "somesomev1_rgb_{train,val}_split.txt something-something-v1-{labels,train,validation}.csv frames/ID/00001.jpg", trimmed.something_v1),
    "ssv2": Mini("Something-Something V2", "recognition",
                 "train.csv val.csv test.csv labels/labels.json frames/ID/img_00001.jpg", trimmed.something_v2),
    "activitynet": Mini("ActivityNet", "recognition", "train.csv val.csv videos/v_ID.mp4", activitynet_trimmed),
    "hacs": Mini("HACS", "recognition", "train.csv val.csv videos/v_ID.mp4", hacs),
    "hmdb51": Mini("HMDB51", "recognition", "testTrainMulti_7030_splits/CLASS_test_split{1,2,3}.txt CLASS/NAME.avi", hmdb51),
    "thumos14": Mini("THUMOS14", SEGMENTS, "annotations/thumos14.json annotations/CLASS_{val,test}.txt videos/ID.mp4", untrimmed.thumos14),
    "activitynet13": Mini("ActivityNet-1.3", SEGMENTS, "annotations/activity_net.v1-3.min.json annotations/uniformerv2_anet_16x10x3.json videos/v_ID.mp4",
                          partial(segments, file="annotations/activity_net.v1-3.min.json", names=SPORTS, numbered=False,
                                  scores="annotations/uniformerv2_anet_16x10x3.json")),
    "hacs_segments": Mini("HACS Segments", SEGMENTS,
                          "annotations/HACS_segments_v1.1.1_af.json annotations/uniformerv2_hacs_16x10x3.json videos/v_ID.mp4",
                          partial(segments, file="annotations/HACS_segments_v1.1.1_af.json", names=SPORTS,
                                  scores="annotations/uniformerv2_hacs_16x10x3.json")),
    "fineaction": Mini("FineAction", SEGMENTS,
                       "annotations/annotations_gt_af.json annotations/uniformerv2_fineaction.json videos/v_ID.mp4",
                       partial(segments, file="annotations/annotations_gt_af.json", names=HOUSE,
                               scores="annotations/uniformerv2_fineaction.json")),
    "ava": Mini("AVA 2.2", "spatiotemporal localization", _AVA, ava),
    "ava_kinetics": Mini("AVA-Kinetics", "spatiotemporal localization",
                         f"{_AVA} kinetics_{{train,val}}_v1.0.{{json,csv}} kinetics_{{train,val}}_det_person_bbox.json ak_val_gt.csv "
                         "video_path_k700.npy movie_size.npy kinetics/ID_000010_000020.mp4", partial(ava, kinetics=True)),
    "ucf101_hmdb51": Mini("UCF101 + HMDB51", KNOWN, f"{_UCF} hmdb51/hmdb51_val_split_1_videos.txt hmdb51/videos/",
                          partial(open_set, unknown="hmdb51", classes=HMDB)),
    "ucf101_mit": Mini("UCF101 + MiT-v2", KNOWN, f"{_UCF} mit/mit_val_split_1_videos.txt mit/videos/",
                       partial(open_set, unknown="mit", classes=MIT)),
    "k400_zero_shot": Mini("Kinetics-400, zero-shot", "zero-shot recognition",
                           "k400_test_tsm.list kinetics_label_map.txt CLASS/ID.mp4", trimmed.kinetics_zero_shot),
    "msrvtt": Mini("MSR-VTT", f"{SEARCH}, multiple choice",
                   "MSRVTT_data.json MSRVTT_train.9k.csv MSRVTT_JSFUSION_test.csv msrvtt_mc_test.jsonl videos/ID.mp4", captioned.msrvtt),
    "msvd": Mini("MSVD", SEARCH, "raw-captions.pkl {train,val,test}_list.txt videos/ID.avi", captioned.msvd),
    "lsmdc": Mini("LSMDC", f"{SEARCH}, multiple choice",
                  "LSMDC16_annos_{training,val}.csv LSMDC16_challenge_1000_publictect.csv LSMDC16_multiple_choice_test_randomized.csv "
                  "videos/FILM/ID.avi", captioned.lsmdc),
    "activitynet_captions": Mini("ActivityNet Captions", SEARCH, "train_ids.json train.json val_ids.json val_1.json videos/v_ID.mp4",
                                 captioned.activitynet),
    "didemo": Mini("DiDeMo", SEARCH, "{train,val,test}_data.json {train,val,test}_list.txt videos/NAME", captioned.didemo),
    "vatex": Mini("VATEX", SEARCH, "vatex_{training,validation}_v1.0.json {train,test}_list.txt videos/ID.mp4", captioned.vatex),
    "msrvtt_qa": Mini("MSRVTT-QA", ASKED, "msrvtt_qa_{train,val,test}.jsonl msrvtt_train_ans2label.json videos/ID.mp4", video_questions.msrvtt_qa),
    "msvd_qa": Mini("MSVD-QA", ASKED, "msvd_{train,val,test}_qa_encode.json msvd_answer_set.txt msvd_youtube_mapping.txt videos/ID.avi", video_questions.msvd_qa),
    "tgif_frame": Mini("TGIF-Frame", ASKED, "frameqa_{train,test}.jsonl frameqa_trainval_ans2label.json gifs/NAME.mp4", video_questions.tgif_frame),
    "r2r_vlnce": Mini("R2R, VLN-CE", "navigation", "{train,val_seen,val_unseen,test}/SPLIT.json.gz {train,val_seen,val_unseen}/SPLIT_gt.json.gz", navigated.r2r),
    "ego4d_sta": Mini("Ego4D, short-term anticipation", "short-term anticipation",
                      "annotations/fho_sta_{train,val}.json annotations/object_detections.json clips/CLIP_UID.mp4", partial(ego4d, track="fho_sta")),
    "ego4d_hands": Mini("Ego4D, future hand prediction", "future hand prediction",
                        "annotations/fho_hands_{train,val}.json clips/CLIP_UID.mp4", partial(ego4d, track="fho_hands")),
    "ego4d_nlq": Mini("Ego4D, natural language queries", "natural language queries",
                      "annotations/nlq_{train,val}.json clips/CLIP_UID.mp4", partial(ego4d, track="nlq")),
    "ego4d_scod": Mini("Ego4D, state change object detection", "state change object detection",
                       "annotations/scod_{train,val}.json clips/CLIP_UID.mp4", partial(ego4d, track="scod")),
    "ego4d_mq": Mini("Ego4D, moment queries", "moment queries", "annotations/moments_{train,val}.json clips/CLIP_UID.mp4",
                     partial(ego4d, track="moments")),
}  # fmt: skip
