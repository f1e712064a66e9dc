// Asking the server. Every failure becomes an Error whose message is a sentence.

let known = null;

export async function session() {
  if (!known) known = await ask("GET", "api/session");
  return known;
}

export async function ask(method, path, question) {
  const headers = {};
  if (method !== "GET") headers["X-Cryores-Token"] = (await session()).token;
  if (question) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: question && JSON.stringify(question) });
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  return told(answer.ok, answer.status, await answer.text());
}

// fetch does not say how much of a file is sent; XMLHttpRequest does.
export async function send(path, file, progress) {
  const { token } = await session();
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.setRequestHeader("X-Cryores-Token", token);
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      try {
        done(told(request.status < 400, request.status, request.responseText));
      } catch (error) {
        failed(error);
      }
    };
    request.onerror = () => failed(new Error("The upload broke off; choose the file again"));
    request.send(file);
  });
}

function told(ok, status, text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`The server's answer (${status}) cannot be read`);
  }
  if (ok) return answer;
  const error = new Error(answer.error ? `${answer.error.message}; ${answer.error.hint}` : `The server answered ${status}`);
  error.code = answer.error?.code;
  throw error;
}
