//! `test-peer`: the connection test. It asks the site above directly, without the daemon.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::{Output, print, run, status};
use crate::config::settings::{Settings, Upstream as UpstreamSettings};
use crate::peer::{HttpUpstream, PeerError, Upstream};
use crate::protocol::SiteAnswer;

/// A clock that is off by more is worth a warning, in seconds.
const CLOCK_TOLERANCE: f64 = 30.0;

/// Prints what the site above answers, or why it does not, and what to do.
pub async fn run(config: &Path, output: Output) -> Result<(), Failure> {
    let settings = run::settings(config)?;
    let Some(upstream) = &settings.upstream else {
        let what = "there is no site above to test";
        let why = format!("{} has no [upstream]", config.display());
        return Err(Failure::new(
            Exit::Configuration,
            what,
            why,
            "add the section, or name another file with --config",
        ));
    };
    let started = Instant::now();
    let answer = ask(upstream).await;
    let took = started.elapsed();
    match answer {
        Ok(site) => {
            // The peer read its clock about half-way.
            let middle = Timestamp::now().as_millisecond().saturating_sub(took.as_millis() as i64 / 2);
            let clock = site.time.as_millisecond().saturating_sub(middle) as f64 / 1000.0;
            let warnings = warnings(&settings, upstream, &site, clock);
            if output.json {
                return print::out(&print::json(&json!({
                    "ok": true,
                    "site": site,
                    "clock_difference_seconds": clock,
                    "milliseconds": took.as_millis(),
                    "warnings": warnings,
                }))?);
            }
            print::out(&success(upstream, &site, clock, took.as_millis(), &warnings))
        }
        Err(error) => {
            if output.json {
                print::out(&print::json(&json!({ "ok": false, "reason": error.to_string() }))?)?;
            }
            Err(Failure::said(Exit::Peer, format!("{} at {} failed the test; {error}", upstream.alias, upstream.url)))
        }
    }
}

async fn ask(upstream: &UpstreamSettings) -> Result<SiteAnswer, PeerError> {
    HttpUpstream::new(upstream)?.site().await
}

/// What works and is not as it should be.
fn warnings(settings: &Settings, upstream: &UpstreamSettings, site: &SiteAnswer, clock: f64) -> Vec<String> {
    let mut warnings = Vec::new();
    if site.alias != upstream.alias {
        warnings.push(format!(
            "the site calls itself {}, and [upstream] calls it {}; set alias in [upstream] to {}",
            site.alias, upstream.alias, site.alias
        ));
    }
    if site.client != settings.site.alias {
        warnings.push(format!(
            "the site knows us as {}, and [site] says {}; agree on one alias",
            site.client, settings.site.alias
        ));
    }
    if clock.abs() > CLOCK_TOLERANCE {
        warnings.push(format!("the clocks differ by {}; set them by NTP at both sites", status::clock(clock)));
    }
    warnings
}

fn success(upstream: &UpstreamSettings, site: &SiteAnswer, clock: f64, took: u128, warnings: &[String]) -> String {
    let mut text = print::Paint::Green.on("Success", print::colour_out());
    let lines = [
        ("site", format!("{} at {}", site.alias, upstream.url)),
        ("knows us as", site.client.to_string()),
        ("version", format!("casebridge {}, protocol {}", site.version, site.protocol)),
        ("its clock", status::clock(clock)),
        ("answered in", format!("{took} ms")),
    ];
    text.push('\n');
    for (name, value) in lines {
        text.push_str(&format!("  {name:<12} {}\n", print::safe(&value)));
    }
    for warning in warnings {
        let label = print::Paint::Yellow.on("warning:", print::colour_out());
        text.push_str(&format!("{label} {}\n", print::safe(warning)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_and_is_not_as_it_should_be_is_warned_of() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("p"), "correct horse").expect("a file");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(dir.path().join("p"), private).expect("a mode");
        let text = "[site]\nalias = 'north'\n\
                    [upstream]\nalias = 'partner'\nurl = 'https://p.example'\nuser = 'north'\npassword_file = 'p'";
        let settings = Settings::parse(text, "test", dir.path()).expect("settings");
        let upstream = settings.upstream.as_ref().expect("an upstream");
        let site = |alias: &str, client: &str| SiteAnswer {
            alias: alias.parse().expect("an alias"),
            client: client.parse().expect("an alias"),
            version: "0.1.0\u{1b}".into(),
            protocol: "1.0".into(),
            time: Timestamp::UNIX_EPOCH,
            capabilities: Vec::new(),
            key: None,
            endorsements: Vec::new(),
        };
        assert_eq!(warnings(&settings, upstream, &site("partner", "north"), 1.0), Vec::<String>::new());
        let all = warnings(&settings, upstream, &site("other", "south"), -31.0);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].contains("set alias in [upstream] to other"), "{all:?}");
        let shown = success(upstream, &site("partner", "north"), 0.0, 12, &all);
        assert!(shown.contains("its clock    same\n") && !shown.contains('\u{1b}'), "{shown}");
    }
}
