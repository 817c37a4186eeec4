"""Ego4D's five tracks: what is shown and asked, baselines that see nothing, and every track's files to a score."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import video_models as zoo

from ivcore.data import formats
from ivcore.data.formats import NextObject, Picture
from ivcore.data.untrimmed import MOMENT_QUERIES, untrimmed_splits
from ivcore.errors import ParameterError, UserError
from ivcore.heads import classifier as heads
from ivcore.heads.boxes import BoxClassifier
from ivcore.heads.clip_detector import ClipDetector, RoIAlign, detector_loss
from ivcore.heads.interaction import Interaction, interaction_loss
from ivcore.losses.hands import hands_loss
from ivcore.metrics.anticipation import Interactions
from ivcore.metrics.frame_map import Boxes, iou
from ivcore.run import execute as run
from ivcore.stages import anticipation, changed_objects, first_person, hands, queries
from ivcore.video import sampling

PARAMS = {"num_frames": 4, "sampling_rate": 2, "image_size": 16, "in_memory": True, "strict_decoding": False, "max_bad": 0.0, "seed": 0, "detections": "", "features": ""}  # fmt: skip
MINIS = {"40": "ego4d_sta", "41": "ego4d_hands", "42": "ego4d_nlq", "43": "ego4d_scod", "44": "ego4d_mq"}


def params(written, number):
    return PARAMS | {"data": str(written(MINIS[number]))}


def encoder(outputs):
    torch.manual_seed(0)
    return heads.classifier(zoo.build("masked")[0], outputs, frames=4, image=16)


def test_a_clip_ends_where_it_is_asked_what_follows():
    assert sampling.until(20, 10, 4, 2).tolist() == [4, 6, 8, 10]
    assert sampling.until(20, 3, 4, 2).tolist() == [0, 0, 1, 3]


def test_a_picture_is_in_shares_of_its_own_size():
    things = (((16, 0, 32, 48), 3),)
    shown = first_person.frames(
        [Picture("1", "a.mp4", 12, 8.0, (64, 48), things)], lambda p, size: ([box for box, _ in p.things], [[1]])
    )
    (keyframe,) = shown.keyframes
    assert keyframe.boxes.tolist() == [[0.25, 0, 0.5, 1]] and keyframe.seconds == 1.5


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"has no annotations/fho_sta_train.json; `iv data mini --list`"):
        first_person.track(PARAMS | {"data": str(tmp_path)}, "fho_sta", formats.read_sta)
    with pytest.raises(ParameterError, match=r"has no annotations/nlq_train.json"):
        queries.query_sets(PARAMS | {"data": str(tmp_path)})


def test_a_noun_that_training_does_not_know_is_named(written, tmp_path):
    folder = shutil.copytree(written(MINIS["40"]), tmp_path / "ego4d")
    file = folder / "annotations" / "fho_sta_val.json"
    tree = json.loads(file.read_text())
    tree["noun_categories"].append({"id": 77, "name": "anvil"})
    file.write_text(json.dumps(tree))
    with pytest.raises(
        UserError, match=r"fho_sta_val.json: nouns 77 'anvil': no such id and name in .*fho_sta_train.json"
    ):
        first_person.track(PARAMS | {"data": str(folder)}, "fho_sta", formats.read_sta)


class TestAnticipation:
    def test_what_is_learned_from_boxes(self, written):
        track, parts, layout, detections = anticipation.read(params(written, "40"))
        picture, keyframe = parts["train"].pictures[0], parts["train"].keyframes[0]
        assert len(keyframe.boxes) == 1 + len(detections[picture.id])
        thing, wanted = picture.things[0], keyframe.actions[0]
        assert wanted[: layout.nouns].argmax() == list(track.nouns).index(thing.noun) and wanted[-1] == pytest.approx(
            thing.seconds
        )
        assert wanted[layout.nouns : -1].argmax() == list(track.verbs).index(thing.verb) and wanted[:-1].sum() == 2
        assert {tuple(row) for row in keyframe.actions[1:]} <= {tuple(wanted), (0.0,) * len(wanted)}
        assert not parts["test"].keyframes[0].actions.any() and not {p.path for p in parts["train"].pictures} & {
            p.path for p in parts["val"].pictures
        }

    def test_losses_by_hand_and_their_sum_in_pieces(self):
        layout = Interaction(2, 3)
        logits = torch.zeros(2, layout.outputs)
        targets = torch.tensor([[0, 1, 0, 0, 1, 0.5], [0, 0, 0, 0, 0, 0]]).float()
        noun, verb, time = layout.loss(logits, targets)
        assert noun.item() == pytest.approx(2 * np.log(3)) and verb.item() == pytest.approx(np.log(3))
        apart = np.log(2) - 0.5
        assert time.item() == pytest.approx(0.5 * apart**2 / 0.25, rel=1e-4)
        logits[0, 1], logits[0, 5] = 5, 3
        which, said, seconds, chance, touched = layout.best(logits)
        assert (
            which[0] == 1 and said[0] == 2 and seconds[0] == pytest.approx(np.log(2)) and touched[0] > chance[0] > 0.9
        )
        assert touched[1] == pytest.approx(2 / 3)

    def test_from_files_to_scores(self, written):
        track, parts, layout, detections = anticipation.read(params(written, "40"))
        clips = first_person.clips(parts, params(written, "40"), None, before=True, jitter=1.0)
        model = BoxClassifier(encoder(layout.outputs))
        loss, _ = interaction_loss(model, clips["train"].batch([0, 1, 2]), layout=layout)
        loss.backward()
        said = anticipation.found(model, clips["test"], parts["test"], layout, batch_size=4)
        assert {name: len(each) for name, each in said.items()} == {
            p.id: len(detections[p.id]) for p in parts["test"].pictures
        }
        scores = anticipation.scored(parts["test"], track, said)
        assert len(scores) == 8 and scores["noun"] >= scores["top1_noun"]
        perfect = dict(zip(said, anticipation.truth(parts["test"], track)))
        perfect = {name: replace(each, score=np.ones(len(each))) for name, each in perfect.items()}
        assert anticipation.scored(parts["test"], track, perfect)["top1_noun"] == 1
        half = dict(list(perfect.items())[::2])  # the others' clips cannot be read, and their things are missed
        assert anticipation.scored(parts["test"], track, half)["top1_noun"] < 0.9
        named = anticipation.found(model, clips["test"], parts["test"], layout, detections, batch_size=4)
        for name, each in named.items():
            assert each.noun.tolist() == [noun for _, noun, _ in detections[name]] and (each.score < 1).all()
            assert (each.verb == said[name].verb).all()
        usual = anticipation.usual_verbs(parts["train"], track)
        assert torch.allclose(usual.exp().sum(1), torch.ones(len(track.nouns)))
        things = [thing for picture in parts["train"].pictures for thing in picture.things]
        noun, verb = list(track.nouns).index(things[0].noun), list(track.verbs).index(things[0].verb)
        alike, done = (
            sum(t.noun == things[0].noun and t.verb in kept for t in things) for kept in ([things[0].verb], track.verbs)
        )
        assert usual[noun, verb].exp() == pytest.approx((alike + 1) / (done + len(track.verbs)))
        sure = torch.full_like(usual, -1e4)
        sure[:, 2] = 0  # of every noun the third verb alone
        both = anticipation.found(model, clips["test"], parts["test"], layout, detections, sure, batch_size=4)
        assert all((each.verb == 2).all() and (each.noun == named[name].noun).all() for name, each in both.items())
        said_alone = anticipation.prior(parts["test"], parts["train"], track, detections)
        of_noun = [t.seconds for t in things if t.noun == things[0].noun]
        for each in said_alone.values():
            mine = each.noun == noun
            assert (usual[each.noun, each.verb] == usual[each.noun].max(1).values).all()
            assert each.seconds[mine] == pytest.approx(np.median(of_noun))
        alone = anticipation.scored(
            parts["test"], track, anticipation.prior(parts["test"], parts["train"], track, detections)
        )
        assert alone["noun"] > 0.5  # its boxes are those of the things
        assert len(anticipation.samples(clips["test"], parts["test"], track, said, 2)[0]) == 2

    def test_a_perfect_answer_scores_one(self):
        things = (NextObject((0, 0, 9, 9), 7, 3, 0.9),)
        frames = SimpleNamespace(pictures=[Picture("a", "", 0, 8.0, None, things)])
        track = SimpleNamespace(nouns={5: "x", 7: "y"}, verbs={3: "z"})
        said = {
            "a": Interactions(
                np.array([[0, 0, 9, 9.0]]), np.array([1]), np.array([0]), np.array([1.0]), np.array([0.5])
            )
        }
        assert set(anticipation.scored(frames, track, said).values()) == {1.0}


class TestHands:
    def test_from_files_to_scores(self, written):
        track, parts = hands.read(params(written, "41"))
        clips = first_person.clips(parts, params(written, "41"), None, before=True)
        for picture, keyframe in zip(parts["train"].pictures, parts["train"].keyframes):
            assert keyframe.seconds == max(picture.frame - 1, 0) / picture.fps  # the first moment is not seen
        model, batch = encoder(20), clips["train"].batch([0, 1, 2])
        places, known = batch["labels"][:, 0].split(20, 1)
        assert set(known.unique().tolist()) == {0, 1} and not places[known == 0].any() and places.max() <= 1
        hands_loss(model, batch)[0].backward()
        said = hands.found(model, clips["test"], parts["test"], batch_size=4)
        blind = hands.mean_places(parts["train"], parts["test"])
        scores = hands.scored(parts["test"], said, blind)
        assert set(said) == {p.id for p in parts["test"].pictures} and 0 < scores["mean"] < 64
        alone = hands.scored(parts["test"], blind, blind)
        assert alone["mean"] > 0 and hands.scored(parts["test"], {}, blind) == alone  # clips that cannot be read count
        right = {p.id: np.nan_to_num(hands.places_of(p)) for p in parts["test"].pictures}
        assert hands.scored(parts["test"], right, blind)["mean"] == 0 and track.source == "ego4d"

    def test_hands_out_of_sight_teach_nothing(self):
        class Fixed(torch.nn.Module):
            prepare = staticmethod(lambda video: video)

            def forward(self, video):
                return torch.zeros(1, 20)

        labels = torch.zeros(1, 1, 40)
        labels[0, 0, 20] = 1  # only the first number is known, and it is 0
        loss, parts = hands_loss(Fixed(), {"video": torch.zeros(1), "labels": labels})
        assert parts["off"] == 0.5 and loss.item() == pytest.approx((0.5 - 0.05 / 2) / 0.05)


class TestChangedObjects:
    def test_from_files_to_scores(self, written):
        track, parts = changed_objects.read(params(written, "43"))
        clips = first_person.clips(parts, params(written, "43"), None)
        model = ClipDetector(encoder(1), len(track.nouns), 16)
        loss, losses = detector_loss(model, clips["train"].batch([0, 1, 2]))
        loss.backward()
        assert set(losses) == {"objectness", "rpn_box_reg", "classifier", "box_reg"} and all(
            map(torch.isfinite, losses.values())
        )
        said = changed_objects.found(model, clips["test"], batch_size=4)
        assert (
            set(said.frame) <= {k.name for k in parts["test"].keyframes} and ((said.box >= 0) & (said.box <= 1)).all()
        )
        assert 0 <= changed_objects.scored(said, parts["test"], track)["ap"] < 0.5
        real = changed_objects.truth(parts["test"], track)
        perfect = Boxes(real.frame, real.box, real.label, np.ones(len(real)))
        assert set(changed_objects.scored(perfect, parts["test"], track).values()) == {1.0}
        wrong = Boxes(real.frame, real.box, (real.label + 1) % len(track.nouns), np.ones(len(real)))
        assert changed_objects.scored(wrong, parts["test"], track)["ap"] < 1
        assert (
            changed_objects.scored(changed_objects.of_one_kind(wrong), parts["test"], track, one_kind=True)["ap"] == 1
        )

    def test_a_box_of_a_map_is_as_torchvision_has_it(self):
        from torchvision.ops import roi_align

        torch.manual_seed(0)
        maps, sizes = {"0": torch.randn(2, 3, 16, 12)}, [(256, 192), (256, 192)]
        corners = torch.rand(5, 2) * 150
        boxes = torch.cat([corners, corners + torch.rand(5, 2) * 40], 1)
        boxes[0], boxes[1] = torch.tensor([0, 0, 192.0, 256]), torch.tensor([188, 250, 192.0, 256])  # edges, tiny
        given = [boxes[:2], boxes[2:]]
        with torch.compiler.set_stance("force_eager"):
            wanted = roi_align(maps["0"], given, 5, 1 / 16, sampling_ratio=2, aligned=True)
        torch.testing.assert_close(RoIAlign(5)(maps, given, sizes), wanted)

    def test_a_box_is_where_it_is_on_a_map_of_any_size(self):
        """torchvision takes a map of 12 for one of 16 of a picture of 256, and looks a third too far to the lower right."""
        maps = torch.zeros(1, 1, 12, 12)
        maps[..., 8:11, 8:11] = 1  # from two thirds to eleven twelfths
        boxes = [torch.tensor([[9, 9, 10, 10], [0, 0, 6, 6], [7, 7, 12, 12]]) * 256 / 12]
        inside, outside, about = RoIAlign(5)({"0": maps}, boxes, [(256, 256)])
        assert (inside == 1).all() and not outside.any()
        assert about.sum() > 0 and torch.allclose(
            about, about.flip(-1, -2)
        )  # its middle is the box's: not half a cell beside

    def test_it_learns_where_a_thing_is(self):
        torch.manual_seed(0)
        model = ClipDetector(encoder(1), 2, 16)
        video = torch.zeros(2, 4, 16, 16, 3, dtype=torch.uint8)
        video[0, :, 0:8, 0:8], video[1, :, 8:16, 8:16] = 255, 255
        boxes = torch.tensor([[[0, 0, 0.5, 0.5]], [[0.5, 0.5, 1, 1]]])
        labels = torch.tensor([[[1, 0]], [[0, 1]]])
        batch = {"video": video, "boxes": boxes, "there": torch.ones(2, 1, dtype=torch.bool), "labels": labels}
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        for _ in range(100):
            optimizer.zero_grad()
            detector_loss(model, batch)[0].backward()
            optimizer.step()
        with torch.inference_mode():
            found = model.eval().detect(model.prepare(video))
        assert [int(kinds[0]) for _, kinds, _ in found] == [0, 1]
        for row, (best, *_) in enumerate(found):
            assert iou(best[0].numpy(), boxes[row, 0].numpy()) > 0.5


@pytest.mark.parametrize("number", MINIS)
def test_clips_of_one_video_are_in_one_part(number, written, tmp_path):
    folder = written(MINIS[number])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "clips").symlink_to(folder / "clips")
    for file in (folder / "annotations").iterdir():
        content = json.loads(file.read_text())
        for clip in content["clips"] if "clips" in content else content.get("videos", []):
            clip["video_uid"] = f"{clip['video_uid'][:-1]}{int(clip['video_uid'][-1]) % 2}"
        for image in content.get("images", []):
            image["video_uid"] = (
                f"v-{image['file_name'][: -len('0/frame_0000000.jpg')]}{int(image['file_name'].split('/')[0][-1]) % 2}"
            )
        for frame in content.get("annotations", []) if "noun_categories" in content else []:
            frame["video_uid"] = f"{frame['video_id'][:-1]}{int(frame['video_id'][-1]) % 2}"
        (tmp_path / "annotations" / file.name).write_text(json.dumps(content))
    given = PARAMS | {"data": str(tmp_path)}
    if number == "42":
        parts = [each.queries for each in queries.query_sets(given)]
    elif number == "44":
        parts = [each.videos for each in untrimmed_splits(given | MOMENT_QUERIES)[0]]
    else:
        read = {"40": anticipation, "41": hands, "43": changed_objects}[number].read
        parts = [frames.pictures for frames in read(given)[1].values()]
    videos = [{each.video_uid for each in part} for part in parts]
    assert all(videos) and not videos[0] & videos[1] and not (videos[0] | videos[1]) & videos[2]
    assert len({each.path for part in parts for each in part}) > len(set.union(*videos))  # some have several clips


def test_a_clip_of_both_files_is_for_the_test_alone(written, tmp_path):
    folder = written("ego4d_nlq")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "clips").symlink_to(folder / "clips")
    train, test = (json.loads((folder / file).read_text()) for file in queries.FILES.values())
    asked = [
        video for video in train["videos"] if any(each["annotations"][0]["language_queries"] for each in video["clips"])
    ]
    test["videos"] += asked[:1]
    for file, content in zip(queries.FILES.values(), (train, test), strict=True):
        (tmp_path / file).write_text(json.dumps(content))
    shown = {clip["clip_uid"] for video in asked[:1] for clip in video["clips"]}
    parts = [{query.clip for query in each.queries} for each in queries.query_sets(PARAMS | {"data": str(tmp_path)})]
    assert shown <= parts[2] and not (parts[0] | parts[1]) & parts[2]


def test_queries_from_files_to_scores(written):
    sets = queries.query_sets(PARAMS | {"data": str(written("ego4d_nlq"))})
    assert [len({q.clip for q in each.queries}) for each in sets] == [3, 1, 2]
    table = queries.word_table(sets[0].queries)
    text = sets[0].queries[0].text
    assert text.startswith("When did I") and table[text].shape == (len(text.split()), queries.WORD)
    for other in table.values():
        assert torch.equal(other[:3], table[text][:3]) and not torch.equal(other[0], other[1])
    words = {query.text: torch.randn(4, 8) for each in sets for query in each.queries}
    clips = {
        v.id: queries.untrimmed.sequence(v, np.random.rand(60, 6), 0.5, 1.0, v.duration, [])
        for each in sets
        for v in each.videos.videos
    }
    train, _, test = (queries.QueryItems(each.queries, clips, words) for each in sets)
    model = queries.head(train, {"max_seq_len": 60, "width": 16, "n_head": 2, "dropout": 0.0, "standardise": True})
    taken = (torch.cat([clip.features for clip in clips.values()]) - model.mean) * model.scale
    assert torch.allclose(taken.mean(0), torch.zeros(6), atol=1e-4) and torch.allclose(
        taken.std(0, correction=0), torch.ones(6), atol=1e-3
    )
    scores = queries.scored(model, test)
    assert set(scores) == {"r1_0.3", "r1_0.5", "r5_0.3", "r5_0.5", "mean_iou"} and scores["r5_0.3"] >= scores["r1_0.3"]
    assert queries.by_prior(train, test)["r5_0.3"] > 0
    hidden = [queries.unasked(items) for items in (train, test)]
    assert len({query.text for each in hidden for query in each.queries}) == 1 < len({q.text for q in test.queries})
    assert np.array_equal(queries.truth(hidden[1]), queries.truth(test)) and hidden[1].cells == test.cells
    several = hidden[1].batch(range(len(test)))["words"]
    assert len(several) > 1 and (several == several[:1]).all()
    lost = queries.QueryItems(test.queries, {k: v for k, v in clips.items() if k != test.queries[0].clip}, words)
    share = len(lost.queries) / len(test.queries)
    right = [queries.in_seconds(lost.clips[q.clip], np.array([cells])) for q, cells in zip(lost.queries, lost.cells)]
    oracle = queries.span_scores(queries.truth(lost), right + [np.zeros((0, 2))] * len(lost.unseen))
    assert 0 < share < 1 and oracle["r1_0.3"] == pytest.approx(share)  # a clip that cannot be read counts as missed
    assert len(queries.found(model, lost)) == len(test.queries) == len(queries.truth(lost))


def vslnet_cells(start, end, cells, duration):
    """Ego4D's episodic-memory, NLQ/VSLNet: time_to_index and index_to_time, by trying all pairs."""
    edges = np.arange(cells + 1) / cells * duration
    starts, ends = np.repeat(edges[:-1], cells), np.tile(edges[1:], cells)
    shared = (np.minimum(end, ends) - np.maximum(start, starts)).clip(0)
    union = np.maximum(end, ends) - np.minimum(start, starts)
    best = np.argmax(shared / union * (starts < ends))
    return starts[best], ends[best]


@pytest.mark.parametrize("frames", [14400, 3000, 900])
def test_an_oracle_reaches_the_ceiling_of_vslnet(frames):
    """At the paper preset, 128 features of a clip: answers shorter than a step are found too."""
    rng, fps, longest = np.random.default_rng(0), 30.0, 128
    duration, count = frames / fps, (frames - 16) // 16 + 1
    whole = queries.FeatureSequence(
        "c", torch.zeros(count, 2), 8 / fps, 16 / fps, duration, np.zeros((0, 2)), np.zeros(0)
    )
    clip = queries.shortened(whole, longest)
    starts = rng.uniform(0, duration - 0.5, 300)
    spans = np.stack([starts, np.minimum(starts + rng.exponential(6, 300) + 0.2, duration)], 1)
    asked = [queries.Query("c", "", duration, "", *span) for span in spans.tolist()]
    items = queries.QueryItems(asked, {"c": clip}, {"": torch.zeros(1, 2)})
    ours = queries.span_scores(spans, [queries.in_seconds(clip, np.array([cells])) for cells in items.cells])
    ceiling = queries.span_scores(spans, [np.array([vslnet_cells(*s, min(count, longest), duration)]) for s in spans])
    if count > longest:
        assert ours == ceiling  # the same cells
    assert ours["r1_0.3"] >= ceiling["r1_0.3"] - 0.02 and ours["r1_0.3"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("number", MINIS)
def test_a_track_goes_from_its_files_to_a_run(number, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    given = {"data": str(written(MINIS[number])), "encoder": str(zoo.saved(tmp_path, "masked"))}
    given |= {
        "num_frames": "4",
        "image_size": "16",
        "sampling_rate": "1",
        "epochs": "1",
        "warmup_epochs": "0",
        "batch_size": "4",
    }
    given |= {"multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))} if number == "42" else {}
    if number in ("42", "44"):
        given |= {"feature_stride": "4", "max_seq_len": "48", "num_frames": "0", "image_size": "0"}
        given |= {"levels": "3", "embd_dim": "16", "n_head": "4", "n_mha_win_size": "3"} if number == "44" else {}
    else:
        given |= {"num_workers": "0", "in_memory": "true", "precision": "fp32", "micro_batch": "0"}
    folder = run.execute(run.jobs(number, "ego4d", given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["data"].startswith("ego4d")
    wanted = {"40": "top5_noun", "41": "displacement_mean", "42": "r1_0.3", "43": "ap", "44": "average_map"}[number]
    assert metrics[wanted] >= 0
