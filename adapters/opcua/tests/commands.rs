//! Writes and method calls, at an asyncua server.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{SOON, URI, int, own, point, start, writable};
use guideway_contract::{Access, Native, Outcome, PointSpec};

fn method(name: &str) -> PointSpec<guideway_opcua::Point> {
    PointSpec { access: Access::Write, ..own(name, |own| own.method = Some(format!("{URI};s=Machine"))) }
}

fn refused(outcome: Outcome, words: &str) {
    match outcome {
        Outcome::Refused(why) => assert!(why.contains(words), "{why} for {words}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_written_in_the_nodes_own_type() {
    let names = [
        "Boolean",
        "SByte",
        "UInt16",
        "Int64",
        "UInt64",
        "Float",
        "Double",
        "String",
        "LocalizedText",
        "Ints",
        "DateTime",
    ];
    let points = names.iter().map(|name| writable(name)).collect();
    let (mut peer, mut running) = start(&["plain"], points).await;
    running.all(names.len(), SOON).await;
    let values = [
        (Native::Bool(false), "False"),
        (int(7), "7"),
        (Native::Float(65_535.0), "65535"),
        (int(-1), "-1"),
        (Native::UInt(u64::MAX), "18446744073709551615"),
        (Native::Float(2.5), "2.5"),
        (int(3), "3.0"),
        (Native::text("Öl"), "'Öl'"),
        (Native::text("Öl"), "LocalizedText(Locale='', Text='Öl')"),
        (Native::List([int(9), int(8)].into()), "[9, 8]"),
        (Native::text("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05"),
    ];
    let writes: Vec<(u32, Native)> = (0..).zip(values.iter().map(|(value, _)| value.clone())).collect();
    assert_eq!(running.write(&writes).await, Outcome::Done);
    for (name, (_, shown)) in names.iter().zip(&values) {
        let there = peer.say(&format!("get {name}")).await;
        assert!(there.starts_with(shown) || there.contains("Öl"), "{name} is {there}, not {shown}");
    }
    running.value(1, &int(7), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_refused_before_anything_is_sent() {
    let points = vec![writable("Byte"), writable("ReadOnly"), point("Int16"), writable("Nowhere")];
    let (mut peer, mut running) = start(&["plain"], points).await;
    running.all(4, SOON).await;
    refused(running.write(&[(0, int(1)), (0, int(256))]).await, "from 0 to 255");
    assert_eq!(peer.say("get Byte").await, "200");
    refused(running.write(&[(1, int(1))]).await, "does not let this user write");
    refused(running.write(&[(2, int(1))]).await, "read only");
    refused(running.write(&[(3, int(1))]).await, "does not have it");
    refused(running.write(&[(99, int(1))]).await, "no such point");
    assert_eq!(running.write(&[(0, int(1))]).await, Outcome::Done);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_called_with_their_arguments() {
    let points = vec![method("Add"), method("Start"), method("/Objects/2:Machine/2:Add"), method("Int16")];
    let (mut peer, mut running) = start(&["plain"], [points, vec![point("Int16")]].concat()).await;
    running.value(4, &int(-30_000), SOON).await;
    assert_eq!(running.write(&[(0, Native::List([int(2), int(3)].into()))]).await, Outcome::Done);
    assert_eq!(running.write(&[(1, Native::text("O1000"))]).await, Outcome::Done);
    assert_eq!(running.write(&[(2, Native::List([int(4), int(5)].into()))]).await, Outcome::Done);
    assert_eq!(peer.say("calls").await, "[(2, 3), 'O1000', (4, 5)]");
    refused(running.write(&[(0, int(1))]).await, "1 arguments for a method that takes 2");
    refused(running.write(&[(1, int(1))]).await, "takes String");
    refused(running.write(&[(1, Native::text(""))]).await, "BadInvalidArgument");
    refused(running.write(&[(3, Native::Null)]).await, "Bad");
    assert_eq!(peer.say("calls").await, "[(2, 3), 'O1000', (4, 5)]");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_is_written_only_where_the_server_writes_elements() {
    let element = PointSpec { access: Access::ReadWrite, ..own("Ints", |own| own.index = Some("1".into())) };
    let (mut peer, mut running) = start(&["plain"], vec![element]).await;
    running.value(0, &int(2), SOON).await;
    match running.write(&[(0, int(20))]).await {
        Outcome::Done => assert_eq!(peer.say("get Ints").await, "[1, 20, 3, 4, 5]"),
        other => {
            refused(other, "does not write elements");
            assert_eq!(peer.say("get Ints").await, "[1, 2, 3, 4, 5]");
        }
    }
    running.stop().await;
}
