//! Secure parameters: who may set them and how, who gets to read them (reference: api.md §8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_model::secret::Sealed;
use gantry_model::{Kind, Layer, Now, Time};
use gantry_state::{Audit, Clash, Over, Present};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, ask};

/// The value as a client sends it to this object.
async fn sealed(server: &Server, object: &str, value: &Value) -> Value {
    let key = server.get(&format!("{object}/pubkey")).await.json();
    let key: [u8; 32] = STANDARD.decode(key.as_str().unwrap()).unwrap().try_into().unwrap();
    Sealed::seal(value, key, &Now::new(Time::ZERO, [9; 32])).unwrap().to_value()
}

/// A machine with a sealed password of its own, and one in a profile inside its profile.
async fn house(server: &Server) -> String {
    server.create("params", json!({"Name": "pw", "Secure": true, "Schema": {"type": "string"}})).await;
    server.create("params", json!({"Name": "keys", "Secure": true, "Schema": {"type": "object", "default": {"d": "default"}}})).await;
    server.create("profiles", json!({"Name": "inner"})).await;
    server.create("profiles", json!({"Name": "outer", "Profiles": ["inner"]})).await;
    let machine = server.create("machines", json!({"Name": "m1", "Profiles": ["outer"]})).await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    for (object, name, value) in [
        (path.as_str(), "pw", json!("of the machine")),
        (path.as_str(), "keys", json!({"m": "machine", "both": "near"})),
        ("/profiles/inner", "pw", json!("of the profile")),
        ("/profiles/inner", "keys", json!({"p": "profile", "both": "far"})),
    ] {
        let value = sealed(server, object, &value).await;
        assert_eq!(server.post(&format!("{object}/params/{name}"), value).await.status, 200);
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_damaged_values_are_refused() {
    let server = Server::start().await;
    let machine = house(&server).await;
    let path = format!("{machine}/params/pw");
    let good = sealed(&server, &machine, &json!("x")).await;
    let with = |field: &str, value: &str| {
        let mut value_with = good.clone();
        value_with[field] = value.into();
        value_with
    };
    for (value, why) in [
        (json!("plain"), "json: cannot unmarshal string into Go value of type models.SecureData"),
        (with("Key", "AAAA"), "Key must be 32 bytes long"),
        (with("Nonce", "AAAA"), "Nonce must be 24 bytes long"),
        (with("Payload", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "SecureData corrupted"),
    ] {
        let refused = server.post(&path, value).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.error().contains("Key 'pw': invalid val: ") && refused.error().ends_with(why),
            "{}",
            refused.error()
        );
    }
    let wrong = sealed(&server, &machine, &json!(5)).await;
    let refused = server.post(&path, wrong).await;
    assert!(
        refused.error().contains("Invalid type. Expected: string, given: integer"),
        "{}",
        refused.error()
    );
    let made = server.post("/machines", json!({"Name": "m2", "Params": {"pw": "plain"}})).await;
    assert_eq!(made.status, 422, "{}", made.text());
    assert_eq!(
        server.get(&format!("{path}?decode=true")).await.json(),
        "of the machine",
        "nothing of that was stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_read_shows_them_sealed_or_decoded() {
    let server = Server::start().await;
    let machine = house(&server).await;
    let get = async |path: String| server.get(&path).await.json();
    assert!(get(format!("{machine}/params/pw")).await["Payload"].is_string());
    assert!(get(format!("{machine}/params?aggregate=true")).await["pw"]["Payload"].is_string());
    assert!(get(machine.clone()).await["Params"]["pw"]["Payload"].is_string());
    let machine_keys = json!({"m": "machine", "both": "near"});
    let all = json!({"m": "machine", "both": "near", "p": "profile", "d": "default"});
    for (path, expected) in [
        (format!("{machine}/params/pw?decode=true"), json!("of the machine")),
        (format!("{machine}/params/keys?decode=true&aggregate=true"), machine_keys.clone()),
        (format!("{machine}/params/keys?decode=true&compose=true"), all),
        (format!("{machine}/params?decode=true"), json!({"pw": "of the machine", "keys": machine_keys})),
        (
            "/profiles/outer/params?decode=true&aggregate=true&params=pw".to_owned(),
            json!({"pw": "of the profile"}),
        ),
        ("/profiles/outer/params?decode=true".to_owned(), json!({})),
    ] {
        assert_eq!(get(path.clone()).await, expected, "{path}");
    }
    assert_eq!(get(format!("{machine}?decode=true")).await["Params"]["pw"], "of the machine");
    assert_eq!(get("/machines?decode=true".to_owned()).await[0]["Params"]["pw"], "of the machine");
    // Without its own value, that of the nested profile counts, opened with the profile's key.
    assert_eq!(server.delete(&format!("{machine}/params/pw")).await.status, 200);
    assert_eq!(get(format!("{machine}/params/pw?decode=true&aggregate=true")).await, "of the profile");
    assert_eq!(get(format!("{machine}/params/pw?decode=true")).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn decoding_needs_a_claim() {
    let server = Server::start().await;
    let machine = house(&server).await;
    let claim = |action: &str| json!({"scope": "machines", "action": action, "specific": "*"});
    for (name, claims) in [
        ("reader", json!([claim("get"), claim("list")])),
        ("opener", json!([claim("get"), claim("list"), claim("getSecure")])),
    ] {
        server.create("roles", json!({"Name": name, "Claims": claims})).await;
        server.create("users", json!({"Name": name, "Roles": [name]})).await;
        assert_eq!(
            server.put(&format!("/users/{name}/password"), json!({"Password": name})).await.status,
            200
        );
    }
    let (reader, opener) = (server.as_user("reader", "reader"), server.as_user("opener", "opener"));
    for path in
        [format!("{machine}/params/pw"), format!("{machine}/params"), machine.clone(), "/machines".to_owned()]
    {
        let plain = ask(&reader, Method::GET, &path, None).await;
        assert!(plain.status == 200 && !plain.text().contains("of the machine"), "{}", plain.text());
        let path = format!("{path}?decode=true");
        let refused = ask(&reader, Method::GET, &path, None).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        assert!(refused.text().contains("Requires: machines getSecure"), "{}", refused.text());
        let opened = ask(&opener, Method::GET, &path, None).await;
        assert!(
            opened.status == 200 && opened.text().contains("of the machine"),
            "{path}: {}",
            opened.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_see_them_open_and_files_sealed() {
    let server = Server::start().await;
    let machine = house(&server).await;
    let uuid = machine.trim_start_matches("/machines/");
    let contents = "{{.Param \"pw\" | toJson}}";
    server.create("tasks", json!({"Name": "tt", "Templates": [{"Name": "x", "Contents": contents}]})).await;
    let templates = json!([{"Name": "x", "Path": "{{.Machine.Path}}/secret", "Contents": contents}]);
    server.create("stages", json!({"Name": "ss", "Tasks": ["tt"], "Templates": templates})).await;
    let change = json!([{"op": "replace", "path": "/Stage", "value": "ss"}]);
    assert_eq!(server.patch(&machine, change).await.status, 200);
    let file = server.plain(&format!("{}/machines/{uuid}/secret", server.files)).await;
    assert!(file.json()["Payload"].is_string(), "{}", file.text());
    let job = loop {
        let job = server.post("/jobs", json!({"Machine": uuid})).await.json();
        if job["Task"] == "tt" {
            break job;
        }
        assert_eq!(job["State"], "finished", "{job}");
    };
    let actions = server.get(&format!("/jobs/{}/actions", job["Uuid"].as_str().unwrap())).await.json();
    assert_eq!(actions[0]["Content"], "\"of the machine\"");
}

/// A parameter becomes secure and a pack with its value is replaced at the same moment: what is sealed is the new pack.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_replaced_while_it_is_sealed_stays_replaced() {
    let server = Server::start().await;
    let param = |secure| json!({"Name": "later", "Secure": secure, "Schema": {"type": "string"}});
    server.create("params", param(false)).await;
    let carrier = |value: &str| {
        let profile = json!({"Name": "carried", "Params": {"later": value}});
        json!({"meta": {"Name": "carrier"}, "sections": {"profiles": {"carried": profile}}})
    };
    assert_eq!(server.post("/contents", carrier("old")).await.status, 201);
    let core = server.core();
    let mut events = core.state.subscribe(None);
    let (enter, entered) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    // Nothing is written until the other two wait for it.
    let held = core.write("test", "hold", move |_| {
        enter.send(()).ok();
        gone.recv().ok();
        Ok::<_, gantry_model::Error>(())
    });
    let secure = core.write("test", "secure", move |tx| tx.put(Kind::Param, "later", param(true)).map(drop));
    let over = Over { present: Present::Yes, clash: Clash::Refuse };
    let new = std::sync::Arc::new(Layer::from_value(carrier("new")).unwrap());
    let replace = core.state.put_pack(Audit::new("test", "replace"), new, over);
    let let_go = async move {
        entered.recv().unwrap();
        drop(go);
    };
    let (held, secure, replaced, ()) = tokio::join!(held, secure, replace, let_go);
    assert!(held.is_ok() && secure.is_ok() && replaced.is_ok());
    let path = "/profiles/carried/params/later";
    while server.get(path).await.json().get("Payload").is_none() {
        events.next().await.unwrap();
    }
    assert_eq!(server.get(&format!("{path}?decode=true")).await.json(), "new");
}
