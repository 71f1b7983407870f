//! Published ports of a container, in the short form `[ADDRESS:]PUBLISHED:TARGET[/udp]`.

use super::KEEP;
use crate::registry::import::entry::Entry;
use crate::registry::import::item::Item;
use crate::registry::import::notes::Notes;

pub(super) fn ports(ports: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    if !ports.is_list() {
        return notes.wrong(ports, "a list of ports");
    }
    for item in ports.items() {
        if item.is_map() {
            long(&item, entry, notes);
        } else if let Some(text) = item.text().filter(|text| is_port(text)) {
            match text.contains(':') {
                true => entry.push(&item, "ports", text, notes),
                false => {
                    notes.lost(&item, "docker would choose a port of the host", "choose one: `ports: [\"8080:80\"]`")
                }
            }
        } else {
            notes.wrong(&item, "a port");
        }
    }
}

/// Whether a text is a port in the short form; ranges are ports too.
fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').map_or((text, "tcp"), |(ports, protocol)| (ports, protocol));
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first @ 1..), Ok(last)) if first <= last)
    };
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let good = match ports.rsplit_once(':') {
        None => range(ports),
        Some((rest, target)) => {
            let published = match rest.rsplit_once(':') {
                Some((ip, published)) => address(ip) && range(published),
                None => range(rest),
            };
            published && range(target)
        }
    };
    good && matches!(protocol, "tcp" | "udp")
}

/// `{ target, published, host_ip, protocol, mode, name, app_protocol }`.
fn long(item: &Item<'_>, entry: &mut Entry, notes: &mut Notes) {
    let part = |key: &str| item.get(key).and_then(|item| item.text().map(str::to_owned));
    let (Some(target), Some(published)) = (part("target"), part("published")) else {
        return notes.lost(item, "docker would choose a port of the host", "choose one: `ports: [\"8080:80\"]`");
    };
    let ip = part("host_ip").map(|ip| format!("{ip}:")).unwrap_or_default();
    let protocol = part("protocol").filter(|protocol| protocol != "tcp").map(|protocol| format!("/{protocol}"));
    let short = format!("{ip}{published}:{target}{}", protocol.unwrap_or_default());
    if !is_port(&short) {
        return notes.wrong(item, "a port");
    }
    for (key, item) in item.entries() {
        match key {
            "target" => entry.push(&item, "ports", short.as_str(), notes),
            "published" | "host_ip" | "protocol" => notes.became(&item, entry.key("ports")),
            "name" | "app_protocol" => notes.needless(&item, "it is for people"),
            "mode" if item.text() == Some("ingress") => notes.needless(&item, "it is the default"),
            _ => notes.lost(&item, "a port has no such key", KEEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_port;

    #[test]
    fn ports_have_a_short_form() {
        for good in ["80:80", "127.0.0.1:8080:80/udp", "[::1]:80:80", "3000-3005:3000-3005", "80", "53:53/tcp"] {
            assert!(is_port(good), "{good}");
        }
        for bad in ["", "0:80", "80:", ":80", "a:80", "80:80/sctp", "70000:80", "5-4:5-4", "host:80:80"] {
            assert!(!is_port(bad), "{bad}");
        }
    }
}
