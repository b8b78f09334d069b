import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;

/**
 * Runs Java with JShell in this process. Input lines: "execute TEXT", "property NAME TEXT", "clear NAME", "interrupt".
 * Output lines: "stdout TEXT", "stderr TEXT", "result TEXT", "error NAME VALUE TRACE", "done". Each text is base64.
 */
public final class JavaKernel {
  private static final PrintStream replies = System.out;
  private static final List<String> imports =
      List.of("java.io.*", "java.math.*", "java.net.*", "java.nio.file.*", "java.util.*", "java.util.concurrent.*",
          "java.util.function.*", "java.util.regex.*", "java.util.stream.*", "java.time.*");
  private static volatile boolean isRunning;
  private static volatile boolean isInterrupted;

  public static void main(String[] arguments) throws Exception {
    System.setOut(streamTo("stdout"));
    System.setErr(streamTo("stderr"));
    JShell shell = JShell.builder().executionEngine("local").out(System.out).err(System.err).build();
    for (String name : imports) shell.eval("import " + name + ";");
    var requests = new LinkedBlockingQueue<String>();
    Thread reader = new Thread(() -> read(requests, shell), "requests");
    reader.setDaemon(true);
    reader.start();
    reply("done");
    while (true) answer(shell, requests.take());
  }

  private static void read(LinkedBlockingQueue<String> requests, JShell shell) {
    try (var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII))) {
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        if (!line.equals("interrupt")) requests.add(line);
        else if (isRunning) {
          isInterrupted = true;
          shell.stop();
        }
      }
    } catch (IOException error) {
      // As at the end of the input: no more requests can arrive.
    }
    Runtime.getRuntime().halt(0);
  }

  private static void answer(JShell shell, String line) {
    String[] words = line.split(" ", -1);
    switch (words[0]) {
      case "execute" -> {
        isInterrupted = false;
        isRunning = true;
        try {
          execute(shell, decode(words[1]));
        } finally {
          isRunning = false;
        }
      }
      case "property" -> System.setProperty(decode(words[1]), decode(words[2]));
      case "clear" -> System.clearProperty(decode(words[1]));
      default -> { }
    }
    System.out.flush();
    System.err.flush();
    reply("done");
  }

  /**
   * Runs the snippets in order and stops at the first that fails. The value of the last snippet is the value of the
   * code.
   */
  private static void execute(JShell shell, String code) {
    String value = null;
    for (String rest = code; !rest.isBlank(); ) {
      SourceCodeAnalysis.CompletionInfo found = shell.sourceCodeAnalysis().analyzeCompletion(rest);
      String source = found.completeness().isComplete() ? found.source() : rest;
      rest = found.completeness().isComplete() ? found.remaining() : "";
      value = null;
      for (SnippetEvent event : shell.eval(source)) {
        if (event.causeSnippet() != null) continue;
        if (isInterrupted) {
          reply("error", "KeyboardInterrupt", "The execution was interrupted.", "");
          return;
        }
        if (event.exception() != null) {
          failed(event.exception());
          return;
        }
        if (event.status() == Snippet.Status.REJECTED) {
          rejected(shell, event.snippet());
          return;
        }
        if (isExpression(event.snippet())) value = event.value();
      }
    }
    if (value != null && !value.isEmpty()) reply("result", value);
  }

  /** JShell keeps the value of an expression in a variable that it creates, unless the expression is only a name. */
  private static boolean isExpression(Snippet snippet) {
    return snippet.kind() == Snippet.Kind.EXPRESSION || snippet.subKind() == Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND;
  }

  private static void failed(JShellException thrown) {
    String name = thrown.getClass().getSimpleName();
    if (thrown instanceof EvalException evaluated) name = evaluated.getExceptionClassName();
    String message = thrown.getMessage() == null ? "" : thrown.getMessage();
    String frames = java.util.Arrays.stream(thrown.getStackTrace())
        .map(frame -> "\n    at " + (frame.getMethodName().equals("do_it$") ? frame.getFileName() : frame.getMethodName())
            + ":" + frame.getLineNumber())
        .collect(Collectors.joining());
    reply("error", name, message, name + (message.isEmpty() ? "" : ": " + message) + frames);
  }

  private static void rejected(JShell shell, Snippet snippet) {
    String text = shell.diagnostics(snippet).filter(Diag::isError).map(diagnostic -> diagnostic.getMessage(Locale.ROOT))
        .collect(Collectors.joining("\n"));
    reply("error", "CompilationException", text, text + "\n" + snippet.source());
  }

  /** Sends the text that code prints as replies: one per line or per flush. */
  private static PrintStream streamTo(String name) {
    return new PrintStream(new OutputStream() {
      private final java.io.ByteArrayOutputStream held = new java.io.ByteArrayOutputStream();

      @Override public synchronized void write(int b) {
        held.write(b);
        if (b == '\n' || held.size() >= 8192) flush();
      }

      @Override public synchronized void write(byte[] bytes, int offset, int length) {
        held.write(bytes, offset, length);
        if (held.size() >= 8192 || (length > 0 && bytes[offset + length - 1] == '\n')) flush();
      }

      @Override public synchronized void flush() {
        if (held.size() == 0) return;
        send(name + " " + Base64.getEncoder().encodeToString(held.toByteArray()));
        held.reset();
      }
    }, false, StandardCharsets.UTF_8);
  }

  private static void reply(String name, String... texts) {
    var line = new StringBuilder(name);
    for (String text : texts)
      line.append(' ').append(Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8)));
    send(line.toString());
  }

  private static void send(String line) {
    synchronized (replies) {
      replies.println(line);
      replies.flush();
    }
  }

  private static String decode(String word) {
    return new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8);
  }
}
