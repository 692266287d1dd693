//! A role of a generic type.
use plexichat::prelude::*;

pub struct Mine<T>(T);

#[plexichat::role]
impl<T: Send + Sync + 'static> Security for Mine<T> {
    async fn scan_message(&self, _: &MessageView<'_>) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }
}

fn main() {}
