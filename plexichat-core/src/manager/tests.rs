//! What the manager does with plugins that misbehave.
