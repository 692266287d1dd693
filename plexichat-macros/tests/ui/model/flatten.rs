//! A flattened field, beside which unknown keys cannot be refused.
#[plexichat::model]
pub struct Inner {
    one: u8,
}

#[plexichat::model]
pub struct Outer {
    #[serde(flatten)]
    inner: Inner,
}

fn main() {}
