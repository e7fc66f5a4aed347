"""Warm-up requests are the messages that TensorFlow Serving reads."""

import tensorflow as tf
from c2m_tf.export import saved_model


def test_a_request_has_the_bytes_of_its_protocol_buffer():
    # PredictionLog {predict_log {request {model_spec {name: "c2m" signature_name: "s"} inputs {key: "a" value {dtype: DT_STRING
    # tensor_shape {} string_val: "x"}}}}}; tensorflow-serving-api 2.21 reads it so.
    expected = "321a 0a18 0a08 0a0363326d 1a0173 120c 0a0161 1207 0807 1200 420178"
    assert saved_model.prediction_log("s", {"a": b"x"}) == bytes.fromhex(expected)


def test_lengths_beyond_one_byte_are_written_in_groups_of_seven_bits():
    assert saved_model.prediction_log("s", {"a": b"x" * 300})[:3] == bytes([0x32, 0xC9, 0x02])


def test_a_file_holds_a_request_for_each_signature_of_encoded_photos(tmp_path):
    saved_model.write_requests(tmp_path)
    path = tmp_path / "assets.extra/tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert [b"serving_default" in record for record in records] == [True, False]
    assert b"serving_alone" in records[1]
    assert [record.count(b"\x89PNG") for record in records] == [2, 1]
