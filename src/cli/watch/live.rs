//! The last line of a watch on a terminal: how it stands, and what is done just now. News stand above it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::face::Format;
use crate::cli::render::shows;
use crate::cli::watch::narrow::Narrow;
use crate::cli::{Face, safe};
use crate::deploy::Ground;
use crate::heal::Healing;
use crate::model::Event;

pub(super) struct Board {
    bar: Option<ProgressBar>,
    /// How it stood after the last pass.
    stood: RefCell<String>,
}

impl Board {
    pub(super) fn new(face: &Face) -> Self {
        let live = face.format() == Format::Terminal && !face.flags.quiet;
        let bar = live.then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Narrow), 20));
            let bar = all.add(ProgressBar::new_spinner());
            // A question of a host takes it off the screen.
            shows(Some(all));
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, stood: RefCell::default() }
    }

    fn says(&self, text: &str) {
        self.bar.iter().for_each(|bar| bar.set_message(text.to_owned()));
    }

    /// A pass begins.
    pub(super) fn looks(&self) {
        let stood = self.stood.borrow();
        self.says(&if stood.is_empty() { "looking".to_owned() } else { format!("{stood}; looking") });
    }

    /// Waits for a pass, and says what it does. Who stops it while it only looks does not wait for it: nothing comes of it then.
    pub(super) async fn follow<T>(
        &self,
        ground: &Arc<Ground>,
        mut events: UnboundedReceiver<Event>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let treats = Cell::new(false);
        let hear = |event: Event| {
            if let Event::Note { host: Some(host), text } = &event {
                treats.set(true);
                self.says(&safe(&format!("{host}: {text}")));
            }
            ground.tell(event);
        };
        let listen = async {
            while let Some(event) = events.recv().await {
                hear(event);
            }
            std::future::pending().await
        };
        let stopped = async {
            ground.stop.cancelled().await;
            if treats.get() {
                self.says("stopping, once what is in hand is finished or undone");
                std::future::pending::<()>().await;
            }
        };
        let done = tokio::select! {
            biased;
            never = listen => never,
            () = stopped => None,
            done = work => Some(done),
        };
        while let Ok(event) = events.try_recv() {
            hear(event);
        }
        done
    }

    /// A pass is over.
    pub(super) fn stands(&self, healing: &Healing, interval: Duration) {
        let (score, bad) = (healing.last.score(), healing.left().filter(|one| !one.problem.latent).count());
        let unseen = healing.blind().count();
        let hosts: BTreeSet<_> = healing.last.observations.iter().map(|one| &one.host).collect();
        let wrong = match bad {
            0 => "all is well".to_owned(),
            1 => "1 problem is left".to_owned(),
            _ => format!("{bad} problems are left"),
        };
        let wrong = if bad == 0 && unseen > 0 { "nothing is known to be wrong".to_owned() } else { wrong };
        let blind = if unseen == 0 { String::new() } else { format!(", {unseen} looks unseen") };
        let hosts = if hosts.len() == 1 { "1 host".to_owned() } else { format!("{} hosts", hosts.len()) };
        let stands = format!("{hosts}: {wrong}{blind}, score {score} of 100");
        self.says(&format!("{stands}; every {} s", interval.as_secs()));
        *self.stood.borrow_mut() = stands;
    }

    /// Has something printed above the line that changes.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Prints lines above the one that changes.
    pub(super) fn above(&self, face: &Face, lines: &[String]) {
        self.aside(|| {
            lines.iter().for_each(|line| face.data(safe(line)));
            // What is sent off later would be written into that line.
            face.flush();
        });
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
        shows(None);
    }
}
