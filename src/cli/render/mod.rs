//! Shows the stream of events: live lines on a terminal, plain lines in a pipe, JSON for programs.
//! All words and colours of a run are here. Meaning never rests on colour.

mod board;
mod live;
mod measure;
mod recap;
mod safe;
mod words;

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use crate::cli::face::{Face, Format, say};
use crate::model::Event;
use board::Board;
use live::Live;
use words::Style;

pub(super) use live::{aside, screen, shows};
pub(super) use measure::{duration, short};
pub use safe::{safe, safe_json, write_json};
pub(super) use words::heals;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Shows events until the stream closes; what happens while a question is open is shown when it is answered. With `--json`, gives back
/// the document of the run: what else there is to say of it belongs there, too.
pub async fn render(face: &Face, mut events: UnboundedReceiver<Event>) -> Option<serde_json::Value> {
    let mut shown = Screen::new(face);
    let mut turn = tokio::time::interval(TURN);
    // Nobody saw the turns that a question took.
    turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let event = tokio::select! {
            event = events.recv() => match event { Some(event) => Some(event), None => break },
            _ = turn.tick(), if shown.live.is_some() => None,
        };
        let _ours = screen().await;
        match event {
            Some(event) => shown.show(&event),
            None => shown.turn(),
        }
    }
    let _ours = screen().await;
    shown.close()
}

/// Where the events of one run go.
struct Screen<'f> {
    face: &'f Face,
    format: Format,
    style: Style,
    board: Board,
    live: Option<Live>,
}

impl<'f> Screen<'f> {
    fn new(face: &'f Face) -> Self {
        let format = face.format();
        let style = Style { color: face.color(), verbose: face.flags.verbose, quiet: face.flags.quiet };
        let live = (format == Format::Terminal && !style.quiet).then(|| Live::new(style.color));
        Self { face, format, style, board: Board::default(), live }
    }

    fn show(&mut self, event: &Event) {
        self.board.take(event);
        match self.format {
            Format::Events => self.face.json_line(event),
            Format::Json => {}
            Format::Terminal | Format::Plain => {
                if let Some(live) = &mut self.live {
                    live.show(event, &self.board);
                }
                // What a live line shows need not stay as well.
                let shown = matches!(event, Event::Switched { .. } | Event::Sending { .. })
                    && self.live.is_some()
                    && self.style.verbose == 0;
                if let Some(line) = words::line(event, &self.board, self.style).filter(|_| !shown) {
                    match &self.live {
                        Some(live) => live.stay(&line),
                        None => say(&line),
                    }
                }
            }
        }
    }

    fn turn(&self) {
        if let Some(live) = &self.live {
            live.tick();
        }
    }

    fn close(mut self) -> Option<serde_json::Value> {
        if let Some(live) = &mut self.live {
            live.clear();
        }
        match self.format {
            Format::Events => {}
            Format::Json => return self.board.run.is_some().then(|| self.board.document()),
            Format::Terminal | Format::Plain => {
                let verbs = crate::cli::command();
                recap::recap(&self.board, self.style, |verb| verbs.find_subcommand(verb).is_some())
                    .iter()
                    .for_each(|line| say(line));
            }
        }
        None
    }
}

/// The lines that a run leaves on a screen without colour; for `history show` and for the tests.
#[must_use]
pub fn replay(events: &[Event], verbose: u8) -> Vec<String> {
    let style = Style { color: false, verbose, quiet: false };
    let mut board = Board::default();
    let mut lines = Vec::new();
    for event in events {
        board.take(event);
        lines.extend(words::line(event, &board, style));
    }
    lines.extend(recap::recap(&board, style, |_| true));
    lines
}

/// The document that `--json` prints for a run of these events.
#[must_use]
pub fn document(events: &[Event]) -> serde_json::Value {
    let mut board = Board::default();
    events.iter().for_each(|event| board.take(event));
    board.document()
}
