# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Who may have failed: providers by their many spellings, services that tools dial, marks of a tool call."""

from functools import lru_cache
from typing import Final

from penstock.classifiers._pattern import Pattern

_SPELLINGS: Final = {
    "azure": "azure_openai azure_ai azure_ai_inference azure_ai_openai azure.ai.openai azure.ai.inference "
    "az_ai_openai azure_foundry",
    "gemini": "google google_genai gcp.gemini gcp_gemini gcp.gen_ai google_ai_studio google_generativeai",
    "vertex_ai": "vertexai vertex gcp.vertex_ai google_vertex",
    "bedrock": "aws.bedrock aws_bedrock amazon_bedrock aws amazon",
    "mistral": "mistral_ai mistralai",
    "xai": "x_ai x.ai grok",
    "dashscope": "qwen alibaba aliyun bailian tongyi alibaba_cloud modelstudio",
    "zhipu": "zhipuai z_ai z.ai zai glm bigmodel",
    "moonshot": "kimi moonshotai",
    "huggingface": "hf hugging_face",
    "cloudflare": "workers_ai cloudflare_workers_ai",
    "new-api": "one_api new_api oneapi newapi",
    "nvidia_nim": "nim nvidia",
    "minimax": "minimaxi mini_max hailuo",
    "spark": "sparkai xunfei iflytek xinghuo xfyun",
    "baidu": "qianfan ernie wenxin baidu_qianfan baiduqianfan yiyan",
    "volcengine": "doubao ark volcano volces bytedance byteplus volcano_engine volcengine_ark",
}
_ALIASES: Final = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()}
TOOL_SERVICES: Final = frozenset(
    [
        "mcp",
        "github",
        "gitlab",
        "notion",
        "tavily",
        "duckduckgo",
        "serper",
        "serpapi",
        "brave",
        "bing",
        "exa",
        "firecrawl",
        "playwright",
        "selenium",
        "puppeteer",
        "browserbase",
        "browser",
        "rapidapi",
        "search",
        "google_search",
        "slack",
        "discord",
        "jira",
        "confluence",
        "atlassian",
        "linear",
        "asana",
        "trello",
        "airtable",
        "sqlite",
        "postgres",
        "postgresql",
        "mysql",
        "mongodb",
        "redis",
        "snowflake",
        "bigquery",
        "elasticsearch",
        "neo4j",
        "supabase",
        "stripe",
        "shopify",
        "salesforce",
        "hubspot",
        "zapier",
        "apify",
        "parallel",
        "jina",
        "wikipedia",
        "arxiv",
        "wolfram",
        "wolframalpha",
        "openweathermap",
        "gmail",
        "google_drive",
        "google_sheets",
        "google_calendar",
        "outlook",
        "figma",
        "sentry",
        "kubernetes",
        "docker",
        "e2b",
        "filesystem",
        "shell",
        "bash",
        "yfinance",
        "yahoo",
        "youtube",
        "reddit",
        "twitter",
        "context7",
        "composio",
        "pinecone",
        "qdrant",
        "weaviate",
        "chroma",
        "milvus",
        "searxng",
        "crawl4ai",
        "scrapingbee",
        "grafana",
        "datadog",
        "pagerduty",
        "zendesk",
        "todoist",
        "obsidian",
        "home_assistant",
        "python_repl",
        "sql",
        "database",
        "http",
        "web",
    ]
)
"""Services that a tool dials. A failure of theirs is a tool's, whoever recorded the span."""
TOOL_SIGNALS: Final = frozenset({
    "_32000", "_32001", "_32002", "_32600", "_32601", "_32602", "_32603", "toolexception", "mcperror",
    "mcpexception", "toolexecutionerror", "tool_execution_error", "toolerror", "ai_toolexecutionerror",
    "mcptoolcallerror", "mcpconnectionerror", "toolcallerror", "mcpservererror", "tool_error",
    "functionexecutionerror", "toolcallexception",
    # Files and processes, which no call to a model touches.
    "filenotfounderror", "isadirectoryerror", "notadirectoryerror", "fileexistserror", "enoent", "eisdir",
    "eacces", "eperm", "calledprocesserror", "timeoutexpired",
})  # fmt: skip
# What only tools use: databases, stores, browsers, mail, shells, and the services they dial. An app may be
# named after one, so the names say nothing where the text speaks of a model.
_LIBRARIES: Final = (
    "psycopg2?|asyncpg|sqlite3|sqlalchemy|pymysql|mysqldb|pymongo|redis (exceptions|connectionerror)|"
    "elasticsearch|opensearchpy|qdrant_client|chromadb|pinecone|weaviate|pymilvus|neo4j|"
    "snowflake connector|googleapiclient|gspread|smtplib|imaplib|paramiko|subprocess|kubectl|"
    "docker daemon|playwright|puppeteer|selenium|bs4|yfinance|slack_sdk|slackapierror|githubexception|"
    "wikipedia exceptions|stripe error|notion_client|tweepy|praw exceptions|"
    "page (click|fill|evaluate|screenshot|waitfor\\w*|wait_for_\\w+)|locator \\w+ timeout|"
    "waiting for (selector|locator)|strict mode violation|"
    "browser (control|context|page|session|tab|instance) ~(closed|crashed|failed|timed|not)|"
    "\\d+ (client|server) error ~for url|"
    "failed to (fetch|download|open|scrape|crawl) (the )?(url|page|https?|website|webpage)"
)
_SERVICES: Final = (
    "api github com|api notion com|api slack com|slack api|hooks slack com|"
    "(gmail|sheets|drive|calendar|youtube) googleapis com|wikipedia org|finance yahoo com|"
    "atlassian net|api stripe com|graph microsoft com|discord com|api twitter com|reddit com|arxiv org|"
    "api tavily com|google serper dev|serpapi com|api airtable com|supabase co|newsapi org|"
    "api openweathermap org|secondary rate limit|api rate limit (already )?exceeded for (user|installation|site)|"
    "duckduckgo|duckduckgosearchexception|duckduckgo_search|tavily|serper|serpapi|firecrawl|"
    "(github|gitlab|jira|confluence|notion|slack|discord|stripe|airtable|linear|asana|trello|hubspot|salesforce|"
    "shopify|zendesk|sentry|figma|twilio|sendgrid|wikipedia|arxiv|youtube|twitter|reddit|spotify|weather) "
    "(api|sdk) ~(error|returned|failed|request|responded|limit)"
)
# What programs print that an agent runs: shells, files, version control, builds, databases, editors, browsers.
_PROGRAMS: Final = (
    "is not recognized as (an internal or external command|(the|a) name of a cmdlet)|bin (ba|z|da)?sh \\d|no such file or directory|"
    "exit(ed)? (with )?(non ?zero )?(exit )?(code|status) (code )?[1-9]\\d*|segmentation fault|no terminal available|"
    "read only file system|disk i o error|failed to (execute|run) (the )?(command|script|code|query)|command could not be (run|executed)|failed to search|search failed|serp_api_key|serper_api_key|serpapi_api_key|tavily_api_key|brave_api_key|exa_api_key|firecrawl_api_key|no space left on device|disk quota exceeded|(device or resource|text file) busy|"
    "file does not exist|(file|path|directory) ~(outside|not within|escapes) ~(workspace|directory|directories|sandbox|root)|"
    "sandbox ~(denied|failed|error|blocked)|"
    "(rsync|tar|scp|ssh|sed|awk|grep|rg|mkdir|chmod|pip|yarn|pnpm|npm|cargo|gcc|javac|mvn|gradle|dotnet|docker|kubectl|terraform|"
    "ffmpeg|psql|mysql|sqlite3|pytest|jest|eslint|tsc|ruff|make) ~(error|fatal|failed|command not found|no such|unrecognized|invalid option|unknown option)|"
    "fatal (unable to|could not|couldnt|repository|refusing|bad|ambiguous|pathspec|remote|invalid|path)|"
    "pathspec \\S+ did not match|failed to push some refs|merge conflict|remote permission to|permission denied publickey|"
    "resource not accessible by integration|github cli|"
    "git (clone|push|pull|fetch|commit|checkout|apply|rebase|merge|diff|worktree) ~(failed|error|fatal)|"
    "could not find a version that satisfies|no matching distribution found|unable to locate package|eresolve|err_pnpm_outdated_lockfile|err_pnpm_no_matching_version|err_pnpm_fetch_404|"
    "cannot find module|could not compile|error (ts|cs)\\d{4}|error e0\\d{3}|build failed|compilation (failed|error)|tests? failed|failed tests|"
    "modulenotfounderror|importerror|nameerror|zerodivisionerror|indentationerror|assertionerror|syntaxerror|"
    "sqlstate|npgsql|postgresexception|sqlexception|sqlserverexception|login failed for user|mysqlerror|ora \\d{5}|"
    "syntax error at or near|error in your sql syntax|no such (column|table)|relation \\S+ does not exist|duplicate key value|"
    "violates (foreign key|unique|not null|check) constraint|deadlock detected|database is locked|rpc function|"
    "(sql|query|cypher) (compilation|parsing|parse|syntax|execution) error|dimension \\d+ does not match|"
    "error response from daemon|error from server (notfound|forbidden|badrequest|alreadyexists|unavailable)|"
    "(patch|hunk|diff) (\\S+ ){0,3}?(failed|not apply|not match)|(applying|apply) patch|corrupt patch|apply_patch ~(failed|verification)|"
    "no replacement was performed|old_str|new_str|old_string|new_string|oldstring|newstring|did not appear verbatim|search_block|searchblock|"
    "net err_\\w+|target (page|closed)|element ~(not|is not) (found|visible|clickable|attached|interactable)|"
    "no such element|stale element|execution context was destroyed|cdp error|chromedriver|"
    "graphql ~(rate limit|could not resolve|error)|mcp_client_error|mcp_server_error|mcp_tool_error|mcp_transport_error|"
    "(web_?(fetch|search|scrap\\w+|browser?|crawl\\w*)|read_file|write_file|edit_file|execute_sql|run_command|execute_command|"
    "list_dir\\w*|run_terminal_cmd|code_interpreter|python_repl|bash_tool) ~(failed|error|timed|denied|exception)"
)
TOOL_NAMES: Final = Pattern(f"{_LIBRARIES}|{_SERVICES}|{_PROGRAMS}")
MODEL_WORDS: Final = Pattern(
    "openai\\w*|azureopenai|anthropic\\w*|claude|gpt|gemini|mistral|litellm|ollama|bedrock|vertex\\w*|cohere|groq|"
    "deepseek|llms?|models?|completions?|prompts?|tokens?|current quota|rate limit reached for|"
    "embeddings?|embed|v1 (chat|messages|responses|engines)|api (generate|tags)|inference|gpus?|cuda\\w*|"
    "llama\\w*|ggml\\w*|vllm|sglang|"
    "springframework ai|spring_ai\\w*|langchain4j|semantickernel"
)
TOOL_WORDS: Final = Pattern(
    "mcp (error|server|tool|client|agent|transport)|error in (mcp|tool)|error executing function|"
    "toolexception|the tool use was rejected|tool ran into|"
    "(during|in) tool (call|execution|use)|when (calling|executing|running|invoking|using) (the )?(mcp )?tool|(tool|function) call failed|tool (error|failure)|error (executing|calling|running|invoking) (the )?(mcp )?tool|"
    "error executing [a-z]+_[a-z_]+|"
    "(failed|unable) to (execute|call|run|invoke) (the )?(mcp )?tool|"
    "(failed|error) while (executing|calling|running|invoking|using) (the |a )?tool|"
    "tool (execution|call|invocation) (failed|error|timed out|exceeded)|command timed out|tool timed out|"
    "navigation time ?out|operation not permitted|failed to fetch url|tool (result|output) error|"
    "tool (?!use |calls? )(\\S+ ){1,2}?(failed|raised|returned an error|threw)|"
    "observation error|toolmessage ~(error|failed)|execute_tool ~(failed|raised|error)|"
    "command ~failed with (return|exit) (code|status)|sandbox (execution|timeout|error|was not found)|"
    "(zsh|bash|bin sh|powershell) (permission denied|command not found|no such file)|"
    "error while trying to use the tool|page goto|locator click|browser closed|"
    "command not found|not a git repository|returned non zero exit status|npm err|error executing code|"
    "(code )?execution timed out|process exited with code|errno 13 permission denied|"
    "string to replace not found|file has not been read yet|no such table|hunk \\d+ \\S+ not match|"
    "is_?error (true|false)|type text text (\\S+ ){0,2}?(error|failed)|error in execution (of )?command"
)


@lru_cache(maxsize=512)
def provider_name(name: str | None) -> str:
    """Fold the spellings of one provider's name; empty when there is none."""
    if not name:
        return ""
    folded = name.lower().strip().replace(" ", "_")
    return _ALIASES.get(folded) or _ALIASES.get(folded.replace("-", "_")) or folded
