//! What the guard does with plugins that misbehave.
