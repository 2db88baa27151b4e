//! A backend can prove who calls, with nothing but the gateway's public keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::client::Call;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::sha::sha256;
use serde_json::{Value, json};

use super::Inside;

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_verifies_the_callers_name_with_the_gateways_keys() {
    let inside = Inside::with_api("pets", &json!({ "backend_jwt": true })).await;
    let url = inside.application.gateway("/pets/1.0/cats");
    let forged = Call::get(url).bearer(&inside.token).header("x-jwt-assertion", "e30.e30.e30");
    let report = inside.application.sends_as_is(forged).await.expect(200).json();

    let jwt = report["headers"]["x-jwt-assertion"].as_str().expect("one, and not the caller's");
    let keys = format!("{}/oauth2/jwks", inside.world.places().manager);
    let keys = inside.world.http.send(Call::get(keys)).await.expect(200).json();
    let claims = verified(jwt, &keys);

    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["countersign_issuer"], inside.idp.issuer.as_str());
    assert_eq!(claims["http://wso2.org/claims/apicontext"], "/pets/1.0");
    assert_eq!(claims["aud"], inside.api.id.as_str());
}

/// The claims of an ES256 JWT, as a backend in any language would check them.
fn verified(jwt: &str, keys: &Value) -> Value {
    let parts: Vec<&str> = jwt.split('.').collect();
    let json = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let header = json(parts[0]);
    assert_eq!(header["alg"], "ES256");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();

    let number = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        BigNum::from_slice(&bytes).unwrap()
    };
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let mut point = EcPoint::new(&group).unwrap();
    let mut context = BigNumContext::new().unwrap();
    point.set_affine_coordinates_gfp(&group, &number("x"), &number("y"), &mut context).unwrap();
    let key = EcKey::from_public_key(&group, &point).unwrap();

    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    let (r, s) = signature.split_at(32);
    let (r, s) = (BigNum::from_slice(r).unwrap(), BigNum::from_slice(s).unwrap());
    let signature = EcdsaSig::from_private_components(r, s).unwrap();
    let signed = sha256(format!("{}.{}", parts[0], parts[1]).as_bytes());
    assert!(signature.verify(&signed, &key).unwrap(), "the signature does not hold");
    json(parts[1])
}
