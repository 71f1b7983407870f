//! The containers of compose projects, as `docker inspect` tells of them (docs.docker.com/reference/cli/docker/inspect).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::host::facts::{SeenContainer, SeenService, SeenUnit};
use crate::host::look::made::Made;

/// The format for `docker inspect`: one JSON array for each container, a line each.
pub const INSPECT: &str = concat!(
    r#"[{{json (index .Config.Labels "com.docker.compose.project")}},"#,
    r#"{{json (index .Config.Labels "com.docker.compose.service")}},{{json .Name}},{{json .State.Status}},"#,
    r#"{{with index .State "Health"}}{{json .Status}}{{else}}null{{end}},{{.RestartCount}},{{.State.ExitCode}},"#,
    r#"{{.State.OOMKilled}},{{json .State.StartedAt}},{{json .State.Error}},{{json .Image}},{{json .Config.Image}},"#,
    r#"{{json .HostConfig.RestartPolicy.Name}},{{json .NetworkSettings.Ports}},{{.State.Pid}},"#,
    // What lives in the network of another container is joined to none of its own.
    r#"{{if eq (printf "%.10s" (index .HostConfig "NetworkMode")) "container:"}}null{{else}}{{len .NetworkSettings.Networks}}{{end}},"#,
    r#"[{{json (index .Config.Labels "com.docker.compose.service")}},{{json (index .Config.Labels "com.docker.compose.config-hash")}},"#,
    r#"{{json (index .Config.Labels "com.docker.compose.version")}},{{json (index .HostConfig "Memory")}},"#,
    r#"{{json (index .HostConfig "MemorySwap")}},{{json (index .HostConfig "MemoryReservation")}},"#,
    r#"{{json (index .HostConfig "NanoCpus")}},{{json (index .HostConfig "CpuShares")}},{{json (index .HostConfig "CpuQuota")}},"#,
    r#"{{json (index .HostConfig "CpusetCpus")}},{{json (index .HostConfig "PidsLimit")}},{{json (index .HostConfig "RestartPolicy")}}]]"#,
);

/// Reads the lines of `INSPECT`: the containers by `PROJECT/PART`.
///
/// # Errors
/// The first line of a container that cannot be read: what it tells of is there, and must not count as gone.
pub fn containers(text: &str) -> Result<BTreeMap<String, Vec<SeenContainer>>, String> {
    let mut all: BTreeMap<String, Vec<SeenContainer>> = BTreeMap::new();
    // What docker warns of beside its answer is no container.
    for line in text.lines().filter(|line| line.starts_with('[')) {
        let (name, container) = container(line).ok_or_else(|| line.to_owned())?;
        all.entry(name).or_default().push(container);
    }
    for parts in all.values_mut() {
        parts.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(all)
}

/// Those of `NAMES IMAGE` that have a name which compose would give to a container of the service that is gone, each with what is the
/// matter. Of a part there are as many as were noted when they were made.
pub(super) fn namesakes(
    all: &str,
    service: &SeenService,
    containers: &BTreeMap<String, Vec<SeenContainer>>,
) -> Vec<String> {
    let units = service.readable().into_iter().flat_map(|record| &record.units);
    let parts = units.filter_map(|unit| {
        let (project, part) = unit.name.split_once('/')?;
        let ours = containers.get(&unit.name).map(Vec::as_slice).unwrap_or_default();
        let noted = service.made.iter().filter(|made| made.is_of(part)).count().max(1);
        // Compose counts on from the highest that is there.
        let highest = ours.iter().filter_map(|one| one.name.rsplit(['-', '_']).next()?.parse().ok()).max().unwrap_or(0);
        Some((project, part, highest + 1..=highest + noted.saturating_sub(ours.len())))
    });
    parts
        .flat_map(|(project, part, free)| {
            all.lines().filter_map(move |line| {
                let (names, image) = line.split_once(' ')?;
                let name =
                    names.split(',').find(|name| called(name, project, part).is_some_and(|no| free.contains(&no)))?;
                let image: String = serde_json::from_str(image).unwrap_or_else(|_| image.to_owned());
                Some(format!(
                    "container {name}: has a name of the service's, and was not made by compose (of the image {image})"
                ))
            })
        })
        .collect()
}

/// The number in the name of a container of this part. The two composes part the words of a name in ways of their own.
fn called(name: &str, project: &str, part: &str) -> Option<usize> {
    let rest = name.strip_prefix(project)?.strip_prefix(['-', '_'])?.strip_prefix(part)?;
    rest.strip_prefix(['-', '_'])?.parse().ok()
}

fn container(line: &str) -> Option<(String, SeenContainer)> {
    let fields: Vec<Value> = serde_json::from_str(line).ok()?;
    let text = |index: usize| fields.get(index).and_then(Value::as_str).map(str::to_owned);
    let number = |index: usize| fields.get(index).and_then(Value::as_i64);
    let policy = text(12)?;
    let container = SeenContainer {
        name: text(2)?.trim_start_matches('/').to_owned(),
        state: text(3)?,
        health: text(4).filter(|health| health != "none"),
        restarts: number(5).and_then(|count| count.try_into().ok())?,
        exit_code: number(6)?,
        oom_killed: fields.get(7)?.as_bool()?,
        started_at: text(8)?,
        error: text(9)?,
        image_id: text(10)?,
        image: text(11)?,
        policy: if policy.is_empty() { "no".into() } else { policy },
        ports: fields.get(13).map(ports).unwrap_or_default(),
        pid: number(14).and_then(|pid| pid.try_into().ok()).unwrap_or_default(),
        networks: number(15).and_then(|count| count.try_into().ok()),
        made: fields.get(16).and_then(Made::read),
    };
    Some((format!("{}/{}", text(0)?, text(1)?), container))
}

/// `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}`; a port without a host's one is `null`.
pub(super) fn ports(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (inner, bound) in value.as_object().into_iter().flatten() {
        for one in bound.as_array().into_iter().flatten() {
            let outer = one.get("HostPort").and_then(Value::as_str).unwrap_or_default();
            all.push(format!("{outer}->{inner}"));
        }
    }
    all.sort();
    // Once for each family of addresses is not worth telling.
    all.dedup();
    all
}

/// Each part of a project as a unit. Of several containers of one part the one that is worst speaks. `now` is the host's clock
/// in seconds since 1970, and how long it is up.
#[must_use]
pub fn container_units(
    all: &BTreeMap<String, Vec<SeenContainer>>,
    now: Option<(i64, Duration)>,
) -> BTreeMap<String, SeenUnit> {
    let worst = |parts: &Vec<SeenContainer>| {
        let mut units: Vec<SeenUnit> = parts.iter().map(|one| unit(one, now)).collect();
        let restarts = units.iter().map(|unit| unit.restarts).sum();
        units.sort_by_key(|unit| (unit.runs(), unit.sub != "unhealthy", unit.sub != "starting"));
        units.into_iter().next().map(|unit| SeenUnit { restarts, ..unit })
    };
    all.iter().filter_map(|(name, parts)| Some((name.clone(), worst(parts)?))).collect()
}

fn unit(container: &SeenContainer, now: Option<(i64, Duration)>) -> SeenUnit {
    let ended = container.exit_code == 0 && matches!(container.policy.as_str(), "no" | "on-failure");
    let started = container.started_at.parse::<Timestamp>().ok().filter(|at| at.as_second() > 0);
    // It was never started, and could not be.
    let (active, sub) = match container.state.as_str() {
        "running" => ("active", container.health.as_deref().unwrap_or("running")),
        "restarting" => ("activating", "auto-restart"),
        "paused" => ("paused", "paused"),
        "exited" if ended => ("done", "exited"),
        "created" if container.error.is_empty() => ("inactive", "created"),
        "exited" if container.exit_code == 0 || !container.error.is_empty() => ("inactive", "exited"),
        state => ("failed", state),
    };
    let result = match () {
        () if container.oom_killed => "oom-kill",
        () if active == "failed" || sub == "auto-restart" && container.exit_code != 0 => "exit-code",
        () => "",
    };
    SeenUnit {
        loaded: true,
        active: active.into(),
        sub: sub.into(),
        result: result.into(),
        status: if active == "active" { String::new() } else { container.exit_code.to_string() },
        restarts: container.restarts,
        pid: container.pid,
        enabled: container.policy != "no",
        since_boot: started.zip(now).and_then(|(at, (clock, uptime))| {
            // A start that lies ahead stays ahead: whoever asks for an age is told that there is none.
            let age = clock.saturating_sub(at.as_second());
            let apart = Duration::from_secs(age.unsigned_abs());
            if age < 0 { uptime.checked_add(apart) } else { uptime.checked_sub(apart) }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(part: &str, state: &str, health: &str, code: i64, policy: &str) -> String {
        format!(
            r#"["p","{part}","/p-{part}-1","{state}",{health},2,{code},false,"2026-11-21T13:08:49.2Z","","sha256:1","lab/http:1","{policy}",{{"80/tcp":[{{"HostIp":"0.0.0.0","HostPort":"8099"}},{{"HostIp":"::","HostPort":"8099"}}],"9/udp":null}},7,["{part}","h","2","0",0,0,0,0,0,"",null,{{}}]]"#
        )
    }

    #[test]
    fn containers_become_units() {
        let text = [
            line("web", "running", "\"healthy\"", 0, "unless-stopped"),
            line("sick", "running", "\"unhealthy\"", 0, "always"),
            line("once", "exited", "null", 0, "no"),
            line("dead", "exited", "null", 137, "unless-stopped"),
            line("loop", "restarting", "null", 1, "always"),
            "noise".into(),
        ]
        .join("\n");
        let all = containers(&text).expect("lines that can be read");
        assert_eq!(all["p/web"][0].ports, ["8099->80/tcp"]);
        let at: Timestamp = "2026-11-21T13:09:49Z".parse().expect("a time");
        let units = container_units(&all, Some((at.as_second(), Duration::from_secs(100))));
        let told = |name: &str| (units[name].active.as_str(), units[name].sub.as_str(), units[name].runs());
        assert_eq!(told("p/web"), ("active", "healthy", true));
        assert_eq!(units["p/web"].since_boot, Some(Duration::from_secs(40)));
        let ahead = container_units(&all, Some((at.as_second() - 160, Duration::from_secs(100))));
        assert_eq!(ahead["p/web"].since_boot, Some(Duration::from_secs(200)), "the clock was set back");
        assert_eq!(told("p/sick"), ("active", "unhealthy", true));
        assert_eq!(told("p/once"), ("done", "exited", true));
        assert_eq!(told("p/dead"), ("failed", "exited", false));
        assert_eq!(told("p/loop"), ("activating", "auto-restart", false));
        assert!(units["p/once"].rests() && units["p/dead"].rests() && !units["p/loop"].rests());
    }

    #[test]
    fn the_networks_of_a_guest_in_anothers_are_not_counted() {
        assert!(
            INSPECT
                .contains(r#"{{if eq (printf "%.10s" (index .HostConfig "NetworkMode")) "container:"}}null{{else}}"#)
        );
        let text = line("web", "running", "null", 0, "no");
        let guest = text.replace("},7,[", "},7,null,[");
        let networks = |text: &str| containers(text).expect("a line")["p/web"][0].networks;
        assert_eq!((networks(&text.replace("},7,[", "},7,0,[")), networks(&guest)), (Some(0), None));
    }

    #[test]
    fn a_container_in_unknown_words_is_not_gone() {
        let text = format!("{}\n[\"p\",\"db\",7]\n", line("web", "running", "null", 0, "no"));
        assert_eq!(containers(&text), Err("[\"p\",\"db\",7]".to_owned()));
    }

    #[test]
    fn only_what_takes_the_name_of_one_that_is_gone_is_in_the_way() {
        let noted = |part: &str| format!("1 [\"{part}\",\"h\",\"2\",0,0,0,0,0,0,\"\",0,{{}}]\n");
        let of = |text: &str, noted: &str, alike: &str| {
            let record = serde_json::json!({
                "format": 1, "service": "a", "release": "0123456789abcdef", "engine": "docker", "supervisor": "compose",
                "scope": "system", "units": [{ "name": "p/web", "path": null, "enable": null, "text": "" }], "user": null,
                "checks": [], "hooks": { "before": [], "after": [] }, "summary": {}, "files": {},
            });
            let service = SeenService {
                record: Some(Ok(serde_json::from_value(record).expect("a record"))),
                made: Made::noted(noted),
                ..SeenService::default()
            };
            namesakes(alike, &service, &containers(text).expect("lines")).len()
        };
        let (one, two) = (noted("web"), noted("web").repeat(2));
        let first = line("web", "running", "null", 0, "no");
        let table = [
            ("", one.as_str(), "p-web-1 \"i\"", 1),
            ("", "", "p_web_1 \"i\"", 1),
            ("", &one, "p-web-7 \"i\"", 0),
            ("", &one, "q-db-1/x,p-web-1 \"i j\"", 1),
            ("", &one, "p-web-1x \"i\"", 0),
            (&first, &one, "p-web-2 \"i\"", 0),
            (&first, &two, "p-web-2 \"i\"", 1),
            (&first, &two, "p-web-3 \"i\"", 0),
        ];
        for (text, noted, alike, count) in table {
            assert_eq!(of(text, noted, alike), count, "{text} {noted} {alike}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}", part in "[^\"\\\\\\p{C}]{0,20}") {
            for text in [&text, &line(&part, &part, "null", -1, &part)] {
                let _ = containers(text).map(|all| container_units(&all, Some((0, Duration::ZERO))));
            }
        }
    }
}
