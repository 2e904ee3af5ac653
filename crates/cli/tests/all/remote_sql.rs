//! `tapebook sql --url`: the same answers, formats and shell as with a data directory.

use crate::served::Served;
use crate::support::Place;

const QUERY: &str = "SELECT symbol, price, size, side, ts FROM trades ORDER BY seq";

#[test]
fn a_server_answers_in_every_form_as_the_directory_does() {
    let place = Place::with_trades();
    let forms = ["table", "csv", "json", "ndjson"];
    let here = forms.map(|form| place.ok(&["sql", "--format", form, QUERY]));
    let empty = place.ok(&["sql", "--format", "csv", "SELECT * FROM orders"]);
    let served = Served::start(&place.data());
    assert_eq!(forms.map(|form| served.ok(&["sql", "--format", form, QUERY])), here);
    assert_eq!(served.ok(&["sql", "--format", "csv", "SELECT * FROM orders"]), empty);
    let file = place.path("out.parquet");
    served.ok(&["sql", "--output", file.to_str().unwrap(), QUERY]);
    assert!(std::fs::metadata(file).unwrap().len() > 100);
}

#[test]
fn a_script_is_one_session() {
    let place = Place::with_trades();
    let script = "SET tapebook.as_of_seq = 2;\nSELECT count(*) AS n FROM trades;\nSHOW tapebook.as_of_seq;\n\
                  RESET tapebook.as_of_seq;\nSELECT count(*) AS n FROM trades;\n\\d trades\n";
    let file = place.write("script.sql", script);
    let file = file.to_str().unwrap();
    let served = Served::start(&place.data());
    let out = served.ok(&["sql", "--format", "csv", "--file", file]);
    assert!(out.starts_with("n\n2\n") && out.contains("as_of_seq,2\n") && out.contains("n\n3\n"), "{out}");
    assert!(out.contains("price,DOUBLE,yes"), "{out}");
    let beyond = served.run(&["sql", "SET tapebook.as_of_seq = 99; SELECT 1"]);
    assert!(beyond.code == 1 && beyond.err.contains("sequence 3"), "{beyond:?}");
}

#[test]
fn errors_are_one_line_and_say_whose_they_are() {
    let place = Place::with_trades();
    let served = Served::start(&place.data());
    let wrong = served.run(&["sql", "SELECT nothing FROM trades"]);
    assert!(
        wrong.code == 1 && wrong.err.starts_with("tapebook: ") && wrong.err.contains("nothing"),
        "{wrong:?}"
    );
    let scheme = place.fails(2, &["sql", "--url", "http://127.0.0.1:1", "SELECT 1"]);
    assert!(scheme.contains("http://127.0.0.1:1"), "{scheme}");
    let no_ca = place.fails(2, &["sql", "--url", "grpcs://127.0.0.1:1", "SELECT 1"]);
    assert!(no_ca.contains("--tls-ca"), "{no_ca}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_a_query_on_the_server() {
    use std::time::Duration;

    let place = Place::with_trades();
    let served = Served::start(&place.data());
    let endless = "SELECT count(*) FROM generate_series(1, 1000) a, generate_series(1, 10000000000) b";
    let child = served.command(&["sql", endless]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("cancelled"), "{output:?}");
    let running = "SELECT count(*) AS n FROM sys.queries WHERE sql NOT LIKE '%sys.queries%'";
    let ended = || served.ok(&["sql", "--format", "csv", running]) == "n\n0\n";
    assert!((0..100).any(|_| ended()), "the server has noticed");
}
