//! What clients ask about the database without SQL.

use arrow::array::{Array, AsArray, UnionArray};
use arrow::datatypes::UInt32Type;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};

use super::support::{Place, fetch, query, text};

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_schemas_and_types_of_tables() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "tapebook");
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "tapebook public");
    let info = client.get_table_types().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "SYSTEM TABLE | TABLE");
    let mut admin = place.client("admin").await;
    let info = admin.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(text(&fetch(&mut admin, info).await.unwrap()), "tapebook public | tapebook sys");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_filtered_and_described_as_queries_give_them() {
    let place = Place::with_trades().await;
    let mut client = place.client("admin").await;
    let filter = |table: &str, types: &[&str]| CommandGetTables {
        catalog: Some("tapebook".to_owned()),
        table_name_filter_pattern: Some(table.to_owned()),
        table_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        include_schema: true,
        ..CommandGetTables::default()
    };
    for (pattern, types, expected) in [
        ("trad%", &["TABLE"][..], "trades"),
        ("order_", &[], "orders"),
        ("quer%", &["SYSTEM TABLE"], "queries"),
        ("trad%", &["VIEW"], ""),
    ] {
        let info = client.get_tables(filter(pattern, types)).await.unwrap();
        let found = fetch(&mut client, info).await.unwrap();
        let names: Vec<String> = found
            .iter()
            .flat_map(|batch| {
                batch["table_name"].as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(names.join(" "), expected, "{pattern} {types:?}");
        let Some(schema) = found.iter().find(|batch| batch.num_rows() > 0) else { continue };
        let bytes = schema["table_schema"].as_binary::<i32>().value(0).to_vec();
        let described = arrow::datatypes::Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
        let from = if types == ["SYSTEM TABLE"] { format!("sys.{expected}") } else { expected.to_owned() };
        let rows = query(&mut client, &format!("SELECT * FROM {from} LIMIT 1")).await.unwrap();
        if let Some(rows) = rows.first() {
            assert_eq!(*rows.schema(), described, "{expected}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_keys() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let infos = [
        client
            .get_primary_keys(CommandGetPrimaryKeys { table: "trades".to_owned(), ..Default::default() })
            .await,
        client
            .get_exported_keys(CommandGetExportedKeys { table: "trades".to_owned(), ..Default::default() })
            .await,
        client
            .get_imported_keys(CommandGetImportedKeys { table: "trades".to_owned(), ..Default::default() })
            .await,
        client.get_cross_reference(CommandGetCrossReference::default()).await,
    ];
    for info in infos {
        assert_eq!(text(&fetch(&mut client, info.unwrap()).await.unwrap()), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_can() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let info = client
        .get_sql_info(vec![
            SqlInfo::FlightSqlServerName,
            SqlInfo::FlightSqlServerBulkIngestion,
            SqlInfo::SqlIdentifierQuoteChar,
        ])
        .await
        .unwrap();
    let found = fetch(&mut client, info).await.unwrap();
    let batch = &found[0];
    let numbers: Vec<u32> = batch["info_name"].as_primitive::<UInt32Type>().values().to_vec();
    let values = batch["value"].as_any().downcast_ref::<UnionArray>().unwrap();
    let value = |number: SqlInfo| {
        let row = numbers.iter().position(|found| *found == number as u32).unwrap();
        values.value(row)
    };
    assert_eq!(numbers.len(), 3);
    assert_eq!(value(SqlInfo::FlightSqlServerName).as_string::<i32>().value(0), "Tapebook");
    assert!(value(SqlInfo::FlightSqlServerBulkIngestion).as_boolean().value(0));
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    assert!(fetch(&mut client, info).await.unwrap()[0].num_rows() > 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_listed_by_number_or_all() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let mut count = async |data_type| {
        let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type }).await.unwrap();
        fetch(&mut client, info).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>()
    };
    assert_eq!((count(None).await, count(Some(12)).await, count(Some(999)).await), (9, 1, 0));
}
