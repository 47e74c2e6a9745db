//! `path`: XPath.

use std::collections::BTreeSet;

use crate::stage::{Response, Stage};

fn items(response: &Response) -> BTreeSet<String> {
    let attributes = response.body.split("dataItemId=\"").skip(1);
    attributes.filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned()).collect()
}

#[tokio::test]
async fn a_path_selects_the_data_items_of_what_it_selects() {
    let stage = Stage::new();
    for (target, expected) in [
        ("/current?path=//DataItem[@type=\"LOAD\"]", "m_xload"),
        ("/current?path=//DataItem[@type=%22LOAD%22]", "m_xload"),
        ("/current?path=//Axes//Linear[@name='X']", "m_xload m_xpos"),
        ("/current?path=//Axes", "m_xload m_xpos m_ycond m_ypos"),
        ("/current?path=//Linear/DataItems", "m_xload m_xpos m_ycond m_ypos"),
        ("/current?path=//Linear[@name='X']|//DataItem[@name='Lpos']", "l_pos m_xload m_xpos"),
        (
            "/current?path=//Linear[@name=%22X%22]%20|%20//Linear[@name='Y']//DataItem[@category='CONDITION']",
            "m_xload m_xpos m_ycond",
        ),
        ("/current?path=//Device[@name=\"Mill\"]//DataItem[@category=\"CONDITION\"]", "m_ycond"),
        ("/current?path=//Device[@name='Lathe+2']//DataItem[@type='POSITION']", "l_pos"),
        ("/current?path=//m:Linear[@name='X']//m:DataItem[@type='LOAD']", "m_xload"),
        ("/current?path=//x:Gripper", "m_grip"),
        ("/current?path=//DataItem[contains(@id,'load')]", "m_xload"),
        ("/current?path=//Linear[1]//DataItem[last()]", "m_xload"),
        (
            "/current?path=//DataItem[@type='POSITION'+and+@category='SAMPLE'+and+not(@name='Lpos')]",
            "m_xpos m_ypos",
        ),
        ("/current?path=/MTConnectDevices/Devices/Device[2]//DataItem[@name]", "l_pos"),
        ("/Mill/current?path=//DataItem[@type='POSITION']", "m_xpos m_ycond m_ypos"),
        ("/Mill/current?path=/Components/Axes//DataItem[@type='LOAD']", "m_xload"),
        ("/Mill/current?path=/Components/Axes//DataItem[@type='LOAD']|//x:Gripper", "m_grip m_xload"),
        ("/Mill/current?path=//Device//DataItem[@type='LOAD']", "m_xload"),
        ("/sample?path=//DataItem[@type='LOAD']", "m_xload"),
    ] {
        let response = stage.get(target).await;
        assert_eq!(response.status, 200, "{target}: {}", response.body);
        let expected: BTreeSet<String> = expected.split(' ').map(str::to_owned).collect();
        assert_eq!(items(&response), expected, "{target}");
    }
}

#[tokio::test]
async fn a_path_that_is_wrong_selects_nothing_or_does_too_much_is_invalid() {
    let stage = Stage::new();
    let deep = format!("//*{}{}", "[*".repeat(40), "]".repeat(40));
    let long = format!("//DataItem[@id='{}']", "x".repeat(5_000));
    let chain = "//a|".repeat(500) + "//b";
    let costly = "//*[count(//*[count(//*[count(//*[count(//*)])])])>0]".to_owned();
    let expensive = "//*[count(//*[count(//*[count(//*[count(//*[count(//*)>0])>0])>0])>0])>0]".to_owned();
    for path in [
        "",
        "//",
        "///",
        "//DataItem[",
        "//DataItem[@type=]",
        "//Drill",
        "//DataItem/@id",
        "count(//DataItem)",
        "'text'",
        "$variable",
        "//DataItem[nothing()]",
        "//y:Gripper",
        "//Gripper",
        &deep,
        &long,
        &chain,
        &costly,
        &expensive,
        "----------1",
        "\u{e4}",
        "//DataItem[@type='LOAD'",
        "))((",
        "//DataItem[last(1)]",
    ] {
        let encoded: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let response = stage.get(&format!("/current?path={encoded}")).await;
        assert_eq!(response.status, 400, "{path}: {}", response.body);
        assert!(response.body.contains("<InvalidXPath>"), "{path}: {}", response.body);
    }
    // The path is checked before a stream begins, and does not reach into another device.
    for target in ["/sample?path=//Drill&interval=10", "/Lathe%202/current?path=//Linear"] {
        assert_eq!(stage.get(target).await.status, 400, "{target}");
    }
}
