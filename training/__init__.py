"""Training: recipes, stages, trainers, losses and data; installed as c2m_tf.training."""
