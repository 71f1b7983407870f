//! Shows the stream of events: live lines on a terminal, plain lines in a pipe, JSON for programs.
//! All words and colours of a run are here. Meaning never rests on colour.

mod safe;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::{Face, Format};
use crate::model::Event;

pub use safe::safe;

/// Shows events until the stream closes. With `--json`, gives the document of the run for the verb to print.
pub async fn render(face: &Face, mut events: UnboundedReceiver<Event>) -> Option<Value> {
    let mut seen = Vec::new();
    while let Some(event) = events.recv().await {
        match face.format() {
            Format::Events => face.json_line(&event),
            Format::Json => seen.push(event),
            Format::Terminal | Format::Plain => face.talk(safe(&format!("{event:?}"))),
        }
    }
    (face.format() == Format::Json).then(|| serde_json::json!({ "events": seen }))
}
