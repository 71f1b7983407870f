//! Checks: one question each, with its timing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::policy::pick;
use super::variables::Known;
use super::{Site, files};
use crate::registry::checked::{Ask, Body, Check, From, Http, Tls};
use crate::registry::draft;
use crate::registry::fault::Place;
use crate::registry::read::{Field, Map, Reader};
use crate::registry::text::{HeaderName, Line};
use crate::registry::tree::Trail;

/// The checks of a service; when none are written, its unit and its port.
pub(super) fn make(
    site: &Site<'_>,
    service: &draft::Service,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Vec<Check> {
    let port: Option<u16> = service.port.value().map(|port| port.get());
    let default = &site.defaults.check;
    if service.checks.absent() {
        let open = port.map(|port| Ask::Tcp { port });
        return std::iter::once(Ask::Unit).chain(open).map(|ask| timed(ask, &Field::Absent, default)).collect();
    }
    let at = at.key("checks");
    let mut checks = Vec::new();
    for (index, written) in service.checks.value().into_iter().flat_map(|list| list.iter()) {
        let at = at.index(index);
        let check = &written.value;
        let Some(ask) = ask(site, (check, written.place), service, known, &at, to) else { continue };
        let own = Field::Given(crate::registry::read::At { value: timing(check), place: written.place });
        checks.push(timed(ask, &own, default));
    }
    checks
}

fn timing(check: &draft::Check) -> draft::Timing {
    draft::Timing {
        from: check.from.clone(),
        start_period: check.start_period.clone(),
        interval: check.interval.clone(),
        timeout: check.timeout.clone(),
        retries: check.retries.clone(),
    }
}

fn timed(ask: Ask, own: &Field<draft::Timing>, default: &Field<draft::Timing>) -> Check {
    let seconds = Duration::from_secs;
    Check {
        ask,
        from: pick!(own, default, from).map_or(From::Controller, |choice| choice.0),
        start_period: pick!(own, default, start_period).map_or(seconds(20), |time| time.0),
        interval: pick!(own, default, interval).map_or(seconds(1), |time| time.0),
        timeout: pick!(own, default, timeout).map_or(seconds(5), |time| time.0),
        retries: pick!(own, default, retries).map_or(3, |count| count.get()),
    }
}

fn ask(
    site: &Site<'_>,
    (check, place): (&draft::Check, Place),
    service: &draft::Service,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Ask> {
    let asked = [
        ("http", check.http.written()),
        ("tcp", check.tcp.written()),
        ("command", check.command.written()),
        ("unit", check.unit.written()),
        ("log", check.log.written()),
    ];
    let given: Vec<&str> = asked.iter().filter(|(_, written)| *written).map(|(key, _)| *key).collect();
    if given.len() != 1 {
        let what = if given.is_empty() {
            "the check asks nothing".to_owned()
        } else {
            format!("the check asks {}", given.join(" and "))
        };
        to.fault(place, at, what).why("it must have one of http, tcp, command, unit and log");
        return None;
    }
    if check.http.absent() {
        refuse_http_keys(check, at, to);
    }
    if let Some(path) = check.http.value() {
        return http(site, check, path.0.clone(), service, at, to).map(|http| Ask::Http(Box::new(http)));
    }
    if let Some(port) = check.tcp.value() {
        return tcp(site, check, port.get(), at, to);
    }
    if let Some(words) = check.command.value() {
        return Some(Ask::Command { words: known.words(words, &at.key("command"), to) });
    }
    if let Some(pattern) = check.log.value() {
        return Some(Ask::Log { pattern: pattern.0.clone() });
    }
    let unit = check.unit.given()?;
    if !unit.value.0 {
        to.fault(unit.place, &at.key("unit"), "`unit: false` asks nothing").hint("take the check away");
    }
    Some(Ask::Unit)
}

fn refuse_http_keys(check: &draft::Check, at: &Trail<'_>, to: &mut Reader) {
    let places = [
        ("port", check.port.given().map(|at| at.place)),
        ("status", check.status.given().map(|at| at.place)),
        ("host", check.host.given().map(|at| at.place)),
        ("send", check.send.given().map(|at| at.place)),
        ("header", check.header.given().map(|at| at.place)),
        ("body", check.body.given().map(|at| at.place)),
        ("tls", check.tls.given().filter(|_| check.tcp.absent()).map(|at| at.place)),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            let what = if key == "tls" { "http and tcp" } else { "http" };
            to.fault(place, &at.key(key), format!("`{key}` is for {what} checks, and this is none"));
        }
    }
}

/// A port; with `tls` its certificate.
fn tcp(site: &Site<'_>, check: &draft::Check, port: u16, at: &Trail<'_>, to: &mut Reader) -> Option<Ask> {
    let Some(written) = check.tls.given() else { return Some(Ask::Tcp { port }) };
    let usual = || site.defaults.check.value().and_then(|timing| timing.from.value());
    let asked_by = check.from.value().or_else(usual).map(|choice| choice.0);
    if asked_by == Some(From::Host) {
        to.fault(
            written.place,
            &at.key("tls"),
            "a certificate is proven by the controller, and this check is asked by the host",
        )
        .hint("give the check `from: controller`");
    }
    let tls = tls(site, &written.value, written.place, None, &at.key("tls"), to)?;
    Some(Ask::Tls { port, tls })
}

fn http(
    site: &Site<'_>,
    check: &draft::Check,
    path: String,
    service: &draft::Service,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Http> {
    let port = check.port.value().or(service.port.value());
    if port.is_none() && check.port.absent() && service.port.absent() {
        let place = check.http.given().map(|http| http.place).unwrap_or_default();
        to.fault(place, at, "the check has no port").hint("give the service a `port`, or the check one of its own");
    }
    let host = check.host.value().map(|host| host.0.clone());
    let statuses = check.status.value().map(|many| many.0.values().map(|status| status.get()).collect());
    Some(Http {
        port: port?.get(),
        path,
        status: statuses.unwrap_or_else(|| vec![200]),
        send: lines(&check.send),
        header: lines(&check.header),
        body: check.body.given().and_then(|body| self::body(&body.value, body.place, &at.key("body"), to)),
        tls: check
            .tls
            .given()
            .and_then(|tls| self::tls(site, &tls.value, tls.place, host.as_ref(), &at.key("tls"), to)),
        host,
    })
}

fn lines(map: &Field<Map<HeaderName, Line>>) -> BTreeMap<String, String> {
    let entries = map.value().map(|map| map.0.iter()).into_iter().flatten();
    entries.filter_map(|named| Some((named.name.clone(), named.field.value()?.0.clone()))).collect()
}

fn body(body: &draft::Body, place: Place, at: &Trail<'_>, to: &mut Reader) -> Option<Body> {
    let given = [body.contains.written(), body.matches.written(), body.json.written()];
    if given.iter().filter(|written| **written).count() != 1 {
        to.fault(place, at, "one of contains, matches and json is needed");
        return None;
    }
    if let Some(text) = body.contains.value() {
        return Some(Body::Contains(text.0.clone()));
    }
    if let Some(pattern) = body.matches.value() {
        return Some(Body::Matches(pattern.0.clone()));
    }
    let json = body.json.value()?;
    Some(Body::Json { pointer: json.pointer.value()?.0.clone(), equals: json.equals.value()?.0.clone() })
}

fn tls(
    site: &Site<'_>,
    tls: &draft::Tls,
    place: Place,
    host: Option<&String>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Tls> {
    let name = tls.name.value().map(|name| &name.0).or(host);
    if name.is_none() && tls.name.absent() {
        to.fault(place, at, "the name that the certificate must carry is missing")
            .hint("give it as `tls: { name: ... }`");
    }
    let ca = tls.ca.given().map(|line| files::on_disk(site, line, files::Want::File, &at.key("ca"), to));
    Some(Tls { name: name?.clone(), ca })
}
