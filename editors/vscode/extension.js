// Starts `stepc lsp` for .step files. Syntax highlighting works without it.
const path = require("path");
const vscode = require("vscode");

let client;

/** The configured command. A relative path is resolved in the first workspace folder. */
function command() {
  const [first, ...rest] = vscode.workspace.getConfiguration("stepc").get("command");
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const relative = first.includes("/") && !path.isAbsolute(first) && folder;
  return { command: relative ? path.join(folder, first) : first, args: rest };
}

async function activate() {
  let LanguageClient;
  try {
    ({ LanguageClient } = require("vscode-languageclient/node"));
  } catch {
    vscode.window.showWarningMessage(
      "stepc: run `npm install` in the extension folder to enable diagnostics and completion."
    );
    return;
  }
  client = new LanguageClient("stepc", "stepc", command(), {
    documentSelector: [{ language: "step" }],
  });
  await client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
