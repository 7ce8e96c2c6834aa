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
    "wikipedia exceptions|stripe error|"
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
    "api openweathermap org|secondary rate limit|api rate limit exceeded for (user|installation|site)|"
    "duckduckgo\\w*|tavily|serper|serpapi|firecrawl|"
    "(github|gitlab|jira|confluence|notion|slack|discord|stripe|airtable|linear|asana|trello|hubspot|salesforce|"
    "shopify|zendesk|sentry|figma|twilio|sendgrid|wikipedia|arxiv|youtube|twitter|reddit|spotify|weather) "
    "(api|sdk) ~(error|returned|failed|request|responded|limit)"
)
TOOL_NAMES: Final = Pattern(f"{_LIBRARIES}|{_SERVICES}")
MODEL_WORDS: Final = Pattern(
    "openai\\w*|azureopenai|anthropic\\w*|claude|gpt|gemini|mistral|litellm|ollama|bedrock|vertex\\w*|cohere|groq|"
    "deepseek|llms?|models?|completions?|prompts?|tokens?|current quota|rate limit reached for|"
    "embeddings?|embed|v1 (chat|messages|responses|engines)|api (generate|tags)|"
    "springframework ai|spring_ai\\w*|langchain4j|semantickernel"
)
TOOL_WORDS: Final = Pattern(
    "mcp (error|server|tool|client|agent|transport)|error in (mcp|tool)|error executing function|"
    "toolexception|the tool use was rejected|tool ran into|"
    "(during|in) tool call|error (executing|calling|running|invoking) (the )?(mcp )?tool|"
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
    "is_?error (true|false)"
)


@lru_cache(maxsize=512)
def provider_name(name: str | None) -> str:
    """Fold the spellings of one provider's name; empty when there is none."""
    if not name:
        return ""
    folded = name.lower().strip().replace(" ", "_")
    return _ALIASES.get(folded) or _ALIASES.get(folded.replace("-", "_")) or folded
