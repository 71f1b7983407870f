//! Maintenance windows: the times of a week in which what interrupts may be done.

use std::fmt;

/// The days as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;

/// A window that opens on some days of the week. One that closes before it opens closes on the next day. Times are UTC, so
/// that it means the same wherever portoser runs, and no hour is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whether it opens on that day, Monday first.
    days: [bool; 7],
    /// Minutes since midnight; `until` may be 24:00.
    from: u16,
    until: u16,
}

impl Window {
    /// Reads a window; nothing when the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (days, times) = match text.split_once(' ') {
            Some((days, times)) => (days_of(days)?, times),
            None => ([true; 7], text),
        };
        let (from, until) = times.split_once('-')?;
        let (from, until) = (minutes(from)?, minutes(until)?);
        (from < DAY && from != until).then_some(Self { days, from, until })
    }

    /// Whether it is open at this moment, given in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn open(&self, seconds: i64) -> bool {
        // The first of January 1970 was a Thursday.
        let day = usize::try_from((seconds.div_euclid(86_400) + 3).rem_euclid(7)).unwrap_or_default();
        let minute = u16::try_from(seconds.rem_euclid(86_400) / 60).unwrap_or_default();
        let yesterday = (day + 6) % 7;
        if self.from < self.until {
            return self.days[day] && (self.from..self.until).contains(&minute);
        }
        self.days[day] && minute >= self.from || self.days[yesterday] && minute < self.until
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != [true; 7] {
            let named: Vec<_> = DAYS.iter().zip(self.days).filter(|(_, open)| *open).map(|(day, _)| *day).collect();
            write!(f, "{} ", named.join(","))?;
        }
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let number = |name: &str| DAYS.iter().position(|day| *day == name);
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(first)?, number(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?;
    let (hours, minutes): (u16, u16) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T00:00:00Z, a Saturday.
    const SATURDAY: i64 = 1_795_219_200;
    const HOUR: i64 = 3600;

    #[test]
    fn it_is_open_at_its_times() {
        for (window, at, open) in [
            ("00:00-24:00", SATURDAY, true),
            ("sat 00:00-24:00", SATURDAY + 24 * HOUR - 1, true),
            ("sat 00:00-24:00", SATURDAY + 24 * HOUR, false),
            ("sun 00:00-24:00", SATURDAY, false),
            ("01:00-05:00", SATURDAY + HOUR - 1, false),
            ("01:00-05:00", SATURDAY + HOUR, true),
            ("01:00-05:00", SATURDAY + 5 * HOUR, false),
            ("sat 22:00-04:00", SATURDAY + 22 * HOUR, true),
            ("sat 22:00-04:00", SATURDAY + 27 * HOUR, true),
            ("sat 22:00-04:00", SATURDAY + 28 * HOUR, false),
            ("sat 22:00-04:00", SATURDAY + 3 * HOUR, false),
            ("fri-mon 00:00-24:00", SATURDAY + 48 * HOUR, true),
            ("fri-mon 00:00-24:00", SATURDAY + 72 * HOUR, false),
            ("mon,sat 10:00-11:00", SATURDAY + 10 * HOUR, true),
            ("thu 00:00-24:00", 0, true),
            ("wed 00:00-24:00", -1, true),
        ] {
            assert_eq!(Window::parse(window).map(|window| window.open(at)), Some(open), "{window} at {at}");
        }
    }

    #[test]
    fn what_is_no_window_is_none() {
        for text in [
            "",
            "sat",
            "sat ",
            "1:00-2:00",
            "01:00-01:00",
            "24:00-01:00",
            "01:60-02:00",
            "01:00",
            "x 01:00-02:00",
            "sat-x 01:00-02:00",
            "01:00-25:00",
            "sat  01:00-02:00",
            "+1:00-02:00",
        ] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["00:00-24:00", "mon,tue,wed 22:30-04:05"] {
            assert_eq!(Window::parse(text).map(|window| window.to_string()).as_deref(), Some(text));
        }
    }
}
