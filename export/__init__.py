"""Export: SavedModel, TFLite and int8 quantization; installed as c2m_tf.export."""
