//! What the server can do, as `GetSqlInfo` asks.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions,
    SupportedSqlGrammar,
};

use crate::queries::SQL_BYTES_MAX;

/// The version of the Arrow format that results are in.
const ARROW_FORMAT: &str = "1.5";

/// The answer; no number asks for everything.
pub(super) fn result(command: &CommandGetSqlInfo) -> Result<RecordBatch, FlightError> {
    static DATA: OnceLock<SqlInfoData> = OnceLock::new();
    let data = match DATA.get() {
        Some(data) => data,
        None => {
            let data = data()?;
            DATA.get_or_init(|| data)
        }
    };
    // A request can name the same number a million times, and others that nobody knows.
    let known = |number: &&u32| i32::try_from(**number).is_ok_and(|number| SqlInfo::try_from(number).is_ok());
    let wanted: BTreeSet<u32> = command.info.iter().filter(known).copied().collect();
    let found = data.record_batch(wanted.iter().copied())?;
    let nothing = wanted.is_empty() && !command.info.is_empty();
    Ok(if nothing { found.slice(0, 0) } else { found })
}

fn data() -> Result<SqlInfoData, FlightError> {
    use SqlInfo as Info;
    let mut data = SqlInfoDataBuilder::new();
    data.append(Info::FlightSqlServerName, "Tapebook");
    data.append(Info::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    data.append(Info::FlightSqlServerArrowVersion, ARROW_FORMAT);
    // Of SQL. Bulk ingest is asked for by itself.
    data.append(Info::FlightSqlServerReadOnly, true);
    data.append(Info::FlightSqlServerSql, true);
    data.append(Info::FlightSqlServerSubstrait, false);
    data.append(Info::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    data.append(Info::FlightSqlServerCancel, true);
    data.append(Info::FlightSqlServerBulkIngestion, true);
    data.append(Info::FlightSqlServerIngestTransactionsSupported, false);
    data.append(Info::FlightSqlServerStatementTimeout, 0_i32);
    data.append(Info::FlightSqlServerTransactionTimeout, 0_i32);
    for nothing in [
        Info::SqlDdlCatalog,
        Info::SqlDdlSchema,
        Info::SqlDdlTable,
        Info::SqlSelectForUpdateSupported,
        Info::SqlStoredProceduresSupported,
        Info::SqlSupportsIntegrityEnhancementFacility,
        Info::SqlSupportsDifferentTableCorrelationNames,
        Info::SqlTransactionsSupported,
        Info::SqlDataDefinitionCausesTransactionCommit,
        Info::SqlDataDefinitionsInTransactionsIgnored,
        Info::SqlBatchUpdatesSupported,
        Info::SqlSavepointsSupported,
        Info::SqlNamedParametersSupported,
        Info::SqlLocatorsUpdateCopy,
        Info::SqlStoredFunctionsUsingCallSyntaxSupported,
        Info::SqlMaxRowSizeIncludesBlobs,
    ] {
        data.append(nothing, false);
    }
    for supported in [
        Info::SqlAllTablesAreSelectable,
        Info::SqlSupportsColumnAliasing,
        Info::SqlNullPlusNullIsNull,
        Info::SqlSupportsTableCorrelationNames,
        Info::SqlSupportsExpressionsInOrderBy,
        Info::SqlSupportsOrderByUnrelated,
        Info::SqlSupportsLikeEscapeClause,
        Info::SqlSupportsNonNullableColumns,
        Info::SqlCatalogAtStart,
        Info::SqlCorrelatedSubqueriesSupported,
    ] {
        data.append(supported, true);
    }
    data.append(Info::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64);
    let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown;
    data.append(Info::SqlQuotedIdentifierCase, exact as i64);
    data.append(Info::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i64);
    data.append(Info::SqlIdentifierQuoteChar, "\"");
    data.append(Info::SqlSearchStringEscape, "\\");
    data.append(Info::SqlExtraNameCharacters, "");
    data.append(Info::SqlSchemaTerm, "schema");
    data.append(Info::SqlCatalogTerm, "catalog");
    data.append(Info::SqlProcedureTerm, "");
    data.append(Info::SqlKeywords, &["qualify", "recursive", "within"][..]);
    data.append(
        Info::SqlNumericFunctions,
        &["abs", "ceil", "exp", "floor", "ln", "log10", "mod", "power", "round", "sign", "sqrt", "trunc"][..],
    );
    data.append(
        Info::SqlStringFunctions,
        &[
            "ascii", "concat", "left", "length", "lower", "ltrim", "replace", "right", "rtrim", "substr",
            "upper",
        ][..],
    );
    data.append(Info::SqlSystemFunctions, &["coalesce", "nullif"][..]);
    data.append(
        Info::SqlDatetimeFunctions,
        &["date_bin", "date_part", "date_trunc", "now", "to_timestamp", "to_timestamp_nanos"][..],
    );
    data.append(
        Info::SqlSupportedGroupBy,
        bits(&[
            SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
            SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
        ]),
    );
    data.append(
        Info::SqlSupportedGrammar,
        bits(&[SupportedSqlGrammar::SqlMinimumGrammar as i32, SupportedSqlGrammar::SqlCoreGrammar as i32]),
    );
    data.append(Info::SqlAnsi92SupportedLevel, 1_i32);
    data.append(
        Info::SqlOuterJoinsSupportLevel,
        bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32]),
    );
    data.append(Info::SqlSchemasSupportedActions, 0_i32);
    data.append(Info::SqlCatalogsSupportedActions, 0_i32);
    data.append(Info::SqlSupportedPositionedCommands, 0_i32);
    data.append(
        Info::SqlSupportedSubqueries,
        bits(&[
            SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
            SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
            SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
        ]),
    );
    data.append(
        Info::SqlSupportedUnions,
        bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]),
    );
    data.append(Info::SqlMaxStatementLength, SQL_BYTES_MAX as i64);
    // No bound of their own.
    for unbounded in [
        Info::SqlMaxBinaryLiteralLength,
        Info::SqlMaxCharLiteralLength,
        Info::SqlMaxColumnNameLength,
        Info::SqlMaxColumnsInGroupBy,
        Info::SqlMaxColumnsInOrderBy,
        Info::SqlMaxColumnsInSelect,
        Info::SqlMaxColumnsInTable,
        Info::SqlMaxConnections,
        Info::SqlMaxRowSize,
        Info::SqlMaxStatements,
        Info::SqlMaxTableNameLength,
        Info::SqlMaxTablesInSelect,
        Info::SqlMaxUsernameLength,
        Info::SqlDefaultTransactionIsolation,
    ] {
        data.append(unbounded, 0_i64);
    }
    data.append(Info::SqlSupportsConvert, HashMap::<i32, Vec<i32>>::new());
    data.build()
}

/// A mask of the bits with these numbers.
fn bits(numbers: &[i32]) -> i32 {
    numbers.iter().fold(0, |mask, number| mask | 1 << number)
}
